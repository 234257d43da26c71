//! What is wrong with input, in a form that a caller can show beside the field.

use std::fmt;

use serde::Serialize;

/// Why one value was refused: a stable code and a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Rejected {
    /// Stable and kebab-case, for programs.
    pub code: &'static str,
    /// For people: what the rule is.
    pub detail: String,
}

impl Rejected {
    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// The same reason, said of the field that `pointer` names.
    pub fn at(self, pointer: impl Into<String>) -> FieldError {
        FieldError { pointer: pointer.into(), code: self.code.to_owned(), detail: self.detail }
    }
}

/// One field that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// A JSON pointer (RFC 6901) into the input, such as `/labels/team`.
    pub pointer: String,
    /// Stable and kebab-case, for programs.
    pub code: String,
    /// For people: what the rule is.
    pub detail: String,
}

/// Input with at least one refused field. All refused fields are listed, not just the first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    errors: Vec<FieldError>,
}

impl Invalid {
    /// Input with a single refused field.
    pub fn field(error: FieldError) -> Self {
        Self { errors: vec![error] }
    }

    /// The refused fields, at least one.
    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    /// The refused fields, at least one.
    pub fn into_errors(self) -> Vec<FieldError> {
        self.errors
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.errors.iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{}: {}", error.pointer, error.detail)?;
        }
        Ok(())
    }
}

/// Collects every refused field of an input before giving up on it.
#[derive(Default)]
pub(crate) struct Fields {
    errors: Vec<FieldError>,
}

impl Fields {
    pub(crate) fn take<T>(&mut self, pointer: &str, parsed: Result<T, Rejected>) -> Option<T> {
        parsed.map_err(|rejected| self.errors.push(rejected.at(pointer))).ok()
    }

    pub(crate) fn take_all<T>(&mut self, pointer: &str, parsed: Result<T, Vec<FieldError>>) -> Option<T> {
        parsed
            .map_err(|errors| {
                self.errors
                    .extend(errors.into_iter().map(|e| FieldError { pointer: format!("{pointer}{}", e.pointer), ..e }));
            })
            .ok()
    }

    /// The finished value, or everything that was wrong. `value` is `Some` whenever no field was refused.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Invalid> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(Invalid { errors: self.errors }),
        }
    }
}
