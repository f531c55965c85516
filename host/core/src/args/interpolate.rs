//! References to variables and resources within JSON: `"$var:u/ann/key"` and
//! `"$res:f/shop/database"`.
//!
//! A reference is a whole string value, at any depth, whose text begins so as it is written. A
//! string that begins with the escape `\u0024` is none, which is how such a text is sent as it is;
//! that is also how text that did not come as JSON (headers, queries, forms, raw bodies) is kept
//! from ever being one. Everything outside of the strings that are replaced stays byte for byte:
//! the text is scanned, never parsed and written again.

use crate::id::ValuePath;
use crate::json::too_deep;
use crate::limits::{JSON_DEPTH, REFERENCE_DEPTH, REFERENCES};
use crate::problem::Problem;
use crate::scope::{Action, Need};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;

/// How references to variables begin.
pub(crate) const VARIABLE: &str = "$var:";
/// How references to resources begin.
pub(crate) const RESOURCE: &str = "$res:";

/// What a string refers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// A variable, replaced by its text as a JSON string.
    Variable(ValuePath),
    /// A resource, replaced by its JSON value, in which references are replaced too.
    Resource(ValuePath),
}

impl Reference {
    /// The right that a caller needs to refer to it.
    pub fn need(&self) -> Need<'_> {
        match self {
            Reference::Variable(path) => Need::one("variables", Action::Read, path.as_str()),
            Reference::Resource(path) => Need::one("resources", Action::Read, path.as_str()),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Variable(path) => write!(f, "{VARIABLE}{path}"),
            Reference::Resource(path) => write!(f, "{RESOURCE}{path}"),
        }
    }
}

/// Why references are not acceptable, whatever they refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadReference {
    /// What follows `$var:` or `$res:` is no path. The text is cut.
    Path {
        /// The reference as it was sent.
        text: String,
        /// What is wrong with its path.
        reason: String,
    },
    /// There are more than the limit.
    TooMany,
}

impl fmt::Display for BadReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadReference::Path { text, reason } => {
                write!(
                    f,
                    "{text:?} refers to no variable or resource: the path {reason}. To send such a text as it is, write its first character as \\u0024"
                )
            }
            BadReference::TooMany => {
                write!(f, "More than {REFERENCES} variables and resources are referred to")
            }
        }
    }
}

impl From<BadReference> for Problem {
    fn from(error: BadReference) -> Self {
        Problem::bad_request(error.to_string())
    }
}

/// Why references could not be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterpolateError {
    /// There is no such variable or resource.
    Missing(Reference),
    /// It refers to itself, perhaps by way of others.
    Cycle(Reference),
    /// Resources refer to resources more often than the limit.
    TooDeep(Reference),
    /// With the values in place, the JSON nests deeper than its readers bear.
    TooNested,
    /// With the values in place, it has more bytes than this.
    TooLarge(usize),
    /// One of the references is none.
    Bad(BadReference),
}

impl fmt::Display for InterpolateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InterpolateError::Missing(Reference::Variable(path)) => {
                write!(f, "there is no variable {path}")
            }
            InterpolateError::Missing(Reference::Resource(path)) => {
                write!(f, "there is no resource {path}")
            }
            InterpolateError::Cycle(reference) => write!(f, "{reference} refers to itself"),
            InterpolateError::TooDeep(reference) => {
                write!(
                    f,
                    "resources refer to one another more than {REFERENCE_DEPTH} times in a row, up to {reference}"
                )
            }
            InterpolateError::TooNested => write!(
                f,
                "with the resources in place they are nested deeper than {JSON_DEPTH} levels"
            ),
            InterpolateError::TooLarge(limit) => write!(
                f,
                "with the variables and resources in place they have more than {limit} bytes"
            ),
            InterpolateError::Bad(error) => error.fmt(f),
        }
    }
}

impl From<BadReference> for InterpolateError {
    fn from(error: BadReference) -> Self {
        InterpolateError::Bad(error)
    }
}

/// False when the text has no references for sure: one look at its bytes, for nearly all calls have
/// none.
pub fn may_refer(json: &str) -> bool {
    json.match_indices("\"$").any(|(at, _)| {
        let rest = json.get(at + 1..).unwrap_or_default();
        rest.starts_with(VARIABLE) || rest.starts_with(RESOURCE)
    })
}

/// The references of a JSON text, each once, in order.
///
/// # Errors
/// The first that has no path, or that they are too many.
pub fn references(json: &str) -> Result<Vec<Reference>, BadReference> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    if !may_refer(json) {
        return Ok(found);
    }
    for place in places(json) {
        let (_, reference) = place?;
        if seen.insert(reference.clone()) {
            found.push(reference);
        }
        if found.len() > REFERENCES {
            return Err(BadReference::TooMany);
        }
    }
    Ok(found)
}

/// The JSON text with every reference replaced. `lookup` gives values as JSON texts: a variable's
/// is a string, a resource's is replaced in turn. At most `limit` bytes are written, steps on the
/// way included.
///
/// # Errors
/// What cannot be replaced, and why.
pub fn interpolate<'v>(
    json: &str,
    lookup: &dyn Fn(&Reference) -> Option<&'v str>,
    limit: usize,
) -> Result<String, InterpolateError> {
    let mut filling = Filling { lookup, limit, written: 0, done: HashMap::new(), open: Vec::new() };
    let text = filling.fill(json)?;
    match too_deep(&text) {
        true => Err(InterpolateError::TooNested),
        false => Ok(text),
    }
}

struct Filling<'f, 'v> {
    lookup: &'f dyn Fn(&Reference) -> Option<&'v str>,
    limit: usize,
    written: usize,
    /// Each resource is filled once, however often it is referred to: else a few that refer to each
    /// other many times would be work without an end.
    done: HashMap<Reference, String>,
    /// What is being filled right now, outermost first.
    open: Vec<Reference>,
}

impl Filling<'_, '_> {
    fn fill(&mut self, json: &str) -> Result<String, InterpolateError> {
        let mut out = String::new();
        let mut copied = 0;
        for place in places(json) {
            let (range, reference) = place?;
            self.put(&mut out, json.get(copied..range.start).unwrap_or_default())?;
            copied = range.end;
            let value = (self.lookup)(&reference)
                .ok_or_else(|| InterpolateError::Missing(reference.clone()))?;
            if matches!(reference, Reference::Variable(_)) || !may_refer(value) {
                self.put(&mut out, value)?;
                continue;
            }
            if !self.done.contains_key(&reference) {
                let filled = self.enter(&reference, value)?;
                self.done.insert(reference.clone(), filled);
            }
            // Taken out for a moment, because writing counts.
            if let Some(filled) = self.done.remove(&reference) {
                self.put(&mut out, &filled)?;
                self.done.insert(reference, filled);
            }
        }
        self.put(&mut out, json.get(copied..).unwrap_or_default())?;
        Ok(out)
    }

    fn enter(&mut self, reference: &Reference, value: &str) -> Result<String, InterpolateError> {
        if self.open.contains(reference) {
            return Err(InterpolateError::Cycle(reference.clone()));
        }
        if self.open.len() >= REFERENCE_DEPTH {
            return Err(InterpolateError::TooDeep(reference.clone()));
        }
        self.open.push(reference.clone());
        let filled = self.fill(value);
        self.open.pop();
        filled
    }

    fn put(&mut self, out: &mut String, text: &str) -> Result<(), InterpolateError> {
        self.written = self.written.saturating_add(text.len());
        if self.written > self.limit {
            return Err(InterpolateError::TooLarge(self.limit));
        }
        out.push_str(text);
        Ok(())
    }
}

/// The references of valid JSON, with where their strings are, quotes included.
fn places(json: &str) -> impl Iterator<Item = Result<(Range<usize>, Reference), BadReference>> {
    strings(json).filter_map(|range| {
        let token = json.get(range.clone())?;
        let kind: fn(ValuePath) -> Reference = match token.get(1..6)? {
            VARIABLE => Reference::Variable,
            RESOURCE => Reference::Resource,
            _ => return None,
        };
        // A key is a name, not a value.
        let is_key =
            json.get(range.end..)?.trim_start_matches([' ', '\t', '\r', '\n']).starts_with(':');
        if is_key {
            return None;
        }
        let text: String = serde_json::from_str(token).unwrap_or_default();
        let path = text.get(VARIABLE.len()..).unwrap_or_default();
        Some(match path.parse() {
            Ok(path) => Ok((range, kind(path))),
            Err(error) => {
                let error: crate::InvalidName = error;
                let text = text.chars().take(100).collect();
                Err(BadReference::Path { text, reason: error.reason })
            }
        })
    })
}

/// Where the strings of valid JSON are, quotes included.
fn strings(json: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + json.get(at..)?.find('"')?;
        let mut escaped = false;
        let length = json.get(start + 1..)?.bytes().position(|byte| match byte {
            _ if escaped => {
                escaped = false;
                false
            }
            b'\\' => {
                escaped = true;
                false
            }
            byte => byte == b'"',
        })?;
        at = start + length + 2;
        Some(start..at)
    })
}

#[cfg(test)]
mod tests;
