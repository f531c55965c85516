//! The serde attributes that change what JSON looks like.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, LitStr, Result, Token};

/// How names are changed, and what else is said of a struct or an enum, a variant or a field. One
/// type for all of them: serde itself refuses attributes in the wrong place.
#[derive(Default)]
pub(crate) struct Serde {
    pub(crate) rename: Option<String>,
    pub(crate) rename_all: Option<Case>,
    pub(crate) rename_all_fields: Option<Case>,
    pub(crate) default: bool,
    pub(crate) skip: bool,
    pub(crate) flatten: bool,
    pub(crate) untagged: bool,
    pub(crate) transparent: bool,
    pub(crate) deny_unknown_fields: bool,
    /// Another function or type reads the JSON.
    pub(crate) foreign: bool,
    pub(crate) tag: Option<String>,
    pub(crate) content: Option<String>,
}

impl Serde {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            attribute.parse_nested_meta(|meta| found.take(&meta))?;
        }
        Ok(found)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let Some(word) = meta.path.get_ident().map(ToString::to_string) else {
            return skip_value(meta);
        };
        match word.as_str() {
            "rename" => {
                if let Some(name) = reading_side(meta)? {
                    self.rename = Some(name.value());
                }
            }
            "rename_all" => self.rename_all = case(meta)?.or(self.rename_all),
            "rename_all_fields" => self.rename_all_fields = case(meta)?.or(self.rename_all_fields),
            "tag" => self.tag = Some(meta.value()?.parse::<LitStr>()?.value()),
            "content" => self.content = Some(meta.value()?.parse::<LitStr>()?.value()),
            "flatten" => self.flatten = true,
            "untagged" => self.untagged = true,
            "transparent" => self.transparent = true,
            "deny_unknown_fields" => self.deny_unknown_fields = true,
            "skip" | "skip_deserializing" => self.skip = true,
            "default" => {
                self.default = true;
                skip_value(meta)?;
            }
            "with" | "deserialize_with" | "from" | "try_from" => {
                self.foreign = true;
                skip_value(meta)?;
            }
            // The others change how a type is written, or nothing that a schema tells.
            _ => skip_value(meta)?,
        }
        Ok(())
    }
}

fn case(meta: &ParseNestedMeta<'_>) -> Result<Option<Case>> {
    let Some(name) = reading_side(meta)? else { return Ok(None) };
    match Case::named(&name.value()) {
        Some(case) => Ok(Some(case)),
        None => Err(syn::Error::new(name.span(), "not one of serde's cases")),
    }
}

/// The string of `word = "..."`, or the one for reading of `word(serialize = "...", deserialize =
/// "...")`.
fn reading_side(meta: &ParseNestedMeta<'_>) -> Result<Option<LitStr>> {
    if meta.input.peek(Token![=]) {
        return meta.value()?.parse().map(Some);
    }
    let mut found = None;
    meta.parse_nested_meta(|side| {
        let value: LitStr = side.value()?.parse()?;
        if side.path.is_ident("deserialize") {
            found = Some(value);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Reads over the value of an attribute that is of no interest.
fn skip_value(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<syn::Expr>()?;
    } else if meta.input.peek(syn::token::Paren) {
        let inside;
        syn::parenthesized!(inside in meta.input);
        inside.parse::<proc_macro2::TokenStream>()?;
    }
    Ok(())
}

/// The cases of serde's `rename_all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "lowercase" => Self::Lower,
            "UPPERCASE" => Self::Upper,
            "PascalCase" => Self::Pascal,
            "camelCase" => Self::Camel,
            "snake_case" => Self::Snake,
            "SCREAMING_SNAKE_CASE" => Self::ScreamingSnake,
            "kebab-case" => Self::Kebab,
            "SCREAMING-KEBAB-CASE" => Self::ScreamingKebab,
            _ => return None,
        })
    }

    /// The name of a field, which is written in snake_case.
    pub(crate) fn of_field(self, name: &str) -> String {
        match self {
            // serde takes the field's name to be lower case already.
            Self::Lower | Self::Snake => name.to_owned(),
            Self::Upper | Self::ScreamingSnake => name.to_ascii_uppercase(),
            Self::Pascal => name.split('_').map(capitalized).collect(),
            Self::Camel => uncapitalized(&Self::Pascal.of_field(name)),
            Self::Kebab => name.replace('_', "-"),
            Self::ScreamingKebab => name.to_ascii_uppercase().replace('_', "-"),
        }
    }

    /// The name of a variant, which is written in PascalCase.
    pub(crate) fn of_variant(self, name: &str) -> String {
        match self {
            Self::Pascal => name.to_owned(),
            Self::Lower => name.to_ascii_lowercase(),
            Self::Upper => name.to_ascii_uppercase(),
            Self::Camel => uncapitalized(name),
            Self::Snake => parted(name),
            Self::ScreamingSnake => parted(name).to_ascii_uppercase(),
            Self::Kebab => parted(name).replace('_', "-"),
            Self::ScreamingKebab => parted(name).to_ascii_uppercase().replace('_', "-"),
        }
    }
}

fn capitalized(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + characters.as_str()
    })
}

fn uncapitalized(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_ascii_lowercase().to_string() + characters.as_str()
    })
}

fn parted(name: &str) -> String {
    let mut parted = String::new();
    for (position, character) in name.char_indices() {
        if position > 0 && character.is_uppercase() {
            parted.push('_');
        }
        parted.push(character.to_ascii_lowercase());
    }
    parted
}

#[cfg(test)]
mod tests {
    use super::Case;

    #[test]
    fn names_change_as_serde_changes_them() {
        let field = |case: &str| Case::named(case).unwrap().of_field("two_words");
        let variant = |case: &str| Case::named(case).unwrap().of_variant("TwoWords");
        for (case, as_field, as_variant) in [
            ("lowercase", "two_words", "twowords"),
            ("UPPERCASE", "TWO_WORDS", "TWOWORDS"),
            ("PascalCase", "TwoWords", "TwoWords"),
            ("camelCase", "twoWords", "twoWords"),
            ("snake_case", "two_words", "two_words"),
            ("SCREAMING_SNAKE_CASE", "TWO_WORDS", "TWO_WORDS"),
            ("kebab-case", "two-words", "two-words"),
            ("SCREAMING-KEBAB-CASE", "TWO-WORDS", "TWO-WORDS"),
        ] {
            assert_eq!(field(case), as_field, "{case}");
            assert_eq!(variant(case), as_variant, "{case}");
        }
    }
}
