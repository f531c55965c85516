//! References to variables and resources in JSON: `"$var:u/ann/key"` and `"$res:f/shop/database"`.
//!
//! A reference is a whole string value, at any depth, whose text begins with `$var:` or `$res:`. A
//! string that is written with the escape `\u0024` in place of `$` is not a reference. Callers send
//! such a text in this way. The host writes text that was not sent as JSON (headers, queries,
//! forms, raw bodies) in this way too, so that it is never a reference. All bytes outside of the
//! replaced strings stay the same: the text is scanned, and not parsed and written again.

use crate::id::ValuePath;
use crate::json::{quote, too_deep};
use crate::limits::{JSON_DEPTH, QUOTED_REFERENCE_CHARS, REFERENCE_DEPTH, REFERENCES};
use crate::problem::Problem;
use crate::scope::{Action, Need};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;

/// The prefix of a reference to a variable.
pub(crate) const VARIABLE: &str = "$var:";
/// The prefix of a reference to a resource.
pub(crate) const RESOURCE: &str = "$res:";

/// A text that was not sent as JSON, as a JSON string that is never a reference to a variable or a
/// resource.
pub(crate) fn quote_text(text: &str) -> String {
    let quoted = quote(text);
    match text.starts_with(VARIABLE) || text.starts_with(RESOURCE) {
        true => quoted.replacen('$', "\\u0024", 1),
        false => quoted,
    }
}

/// A reference.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// A variable. It is replaced by its text as a JSON string.
    Variable(ValuePath),
    /// A resource. It is replaced by its JSON value, after the references in that value are
    /// replaced.
    Resource(ValuePath),
}

impl Reference {
    /// The right that a caller needs for this reference.
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

/// Why a reference is refused without looking up its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadReference {
    /// The text after `$var:` or `$res:` is not a valid path. `text` is cut to `QUOTED_REFERENCE_CHARS`.
    Path {
        /// The reference as it was sent.
        text: String,
        /// What is wrong with the path.
        reason: String,
    },
    /// The number of references exceeds the limit.
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

/// Why the references could not be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterpolateError {
    /// There is no such variable or resource.
    Missing(Reference),
    /// The resource refers to itself, directly or through other resources.
    Cycle(Reference),
    /// The chain of resources that refer to resources is longer than the limit.
    TooDeep(Reference),
    /// With the values in place, the JSON has more levels than its readers accept.
    TooNested,
    /// With the values in place, the JSON has more bytes than this limit.
    TooLarge(usize),
    /// A reference is not valid.
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

/// Whether a text may have references. False is certain. Only looks for a prefix, because nearly
/// all calls have no references.
pub fn may_refer(json: &str) -> bool {
    json.match_indices("\"$").any(|(at, _)| {
        let rest = json.get(at + 1..).unwrap_or_default();
        rest.starts_with(VARIABLE) || rest.starts_with(RESOURCE)
    })
}

/// The references in a JSON text, each once, in order.
///
/// # Errors
/// The first reference without a valid path, or that there are too many references.
pub fn references(json: &str) -> Result<Vec<Reference>, BadReference> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    if !may_refer(json) {
        return Ok(found);
    }
    for found_reference in references_with_ranges(json) {
        let (_, reference) = found_reference?;
        if seen.insert(reference.clone()) {
            found.push(reference);
        }
        if found.len() > REFERENCES {
            return Err(BadReference::TooMany);
        }
    }
    Ok(found)
}

/// The JSON text with every reference replaced. `lookup` returns values as JSON texts. The value of
/// a variable is a string. In the value of a resource, references are replaced too. At most `limit`
/// bytes are written in all steps together.
///
/// # Errors
/// Which reference cannot be replaced, and why.
pub fn interpolate<'v>(
    json: &str,
    lookup: &dyn Fn(&Reference) -> Option<&'v str>,
    limit: usize,
) -> Result<String, InterpolateError> {
    let mut interpolation =
        Interpolation { lookup, limit, written: 0, done: HashMap::new(), open: Vec::new() };
    let text = interpolation.interpolate(json)?;
    match too_deep(&text) {
        true => Err(InterpolateError::TooNested),
        false => Ok(text),
    }
}

struct Interpolation<'f, 'v> {
    lookup: &'f dyn Fn(&Reference) -> Option<&'v str>,
    limit: usize,
    written: usize,
    /// The values of resources, with their references replaced. Each resource is computed once. A
    /// few resources that refer to each other many times would otherwise take nearly endless work.
    done: HashMap<Reference, String>,
    /// The resources that are being computed, the outermost first.
    open: Vec<Reference>,
}

impl Interpolation<'_, '_> {
    fn interpolate(&mut self, json: &str) -> Result<String, InterpolateError> {
        let mut out = String::new();
        let mut copied = 0;
        for found_reference in references_with_ranges(json) {
            let (range, reference) = found_reference?;
            self.put(&mut out, json.get(copied..range.start).unwrap_or_default())?;
            copied = range.end;
            let value = (self.lookup)(&reference)
                .ok_or_else(|| InterpolateError::Missing(reference.clone()))?;
            if matches!(reference, Reference::Variable(_)) || !may_refer(value) {
                self.put(&mut out, value)?;
                continue;
            }
            if !self.done.contains_key(&reference) {
                let interpolated = self.enter(&reference, value)?;
                self.done.insert(reference.clone(), interpolated);
            }
            // The value is taken out of the map and put back, because `put` needs `self`.
            if let Some(interpolated) = self.done.remove(&reference) {
                self.put(&mut out, &interpolated)?;
                self.done.insert(reference, interpolated);
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
        let interpolated = self.interpolate(value);
        self.open.pop();
        interpolated
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

/// The references in valid JSON, with the ranges of their strings (with quotes).
fn references_with_ranges(
    json: &str,
) -> impl Iterator<Item = Result<(Range<usize>, Reference), BadReference>> {
    strings(json).filter_map(|range| {
        let token = json.get(range.clone())?;
        let kind: fn(ValuePath) -> Reference = match token.get(1..6)? {
            VARIABLE => Reference::Variable,
            RESOURCE => Reference::Resource,
            _ => return None,
        };
        // A key of an object is not a reference.
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
                let text = text.chars().take(QUOTED_REFERENCE_CHARS).collect();
                Err(BadReference::Path { text, reason: error.reason })
            }
        })
    })
}

/// The ranges of the strings in valid JSON (with quotes).
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
