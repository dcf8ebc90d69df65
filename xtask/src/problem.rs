//! The problems of a spec.

use std::fmt;

/// A problem, its place, and a remedy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// JSON pointer into the document; empty for the document as a whole.
    pub pointer: String,
    /// The problem.
    pub message: String,
    /// The remedy.
    pub remedy: String,
}

/// All problems of one file. Never empty when returned as an error.
#[derive(Clone, Debug)]
pub struct Problems {
    file: String,
    list: Vec<Problem>,
}

impl Problems {
    /// Returns an empty collection for `file`.
    pub fn new(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            list: Vec::new(),
        }
    }

    /// Adds a problem.
    pub fn add(
        &mut self,
        pointer: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.list.push(Problem {
            pointer: pointer.into(),
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// Returns the problems, in the order in which they were found.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// Returns `value` if there are no problems, otherwise the problems.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.list.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.file)?;
            if !problem.pointer.is_empty() {
                write!(f, "#{}", problem.pointer)?;
            }
            write!(f, ": {} ({})", problem.message, problem.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Appends a segment to a JSON pointer, escaped.
pub(crate) fn join(pointer: &str, segment: impl fmt::Display) -> String {
    let segment = segment.to_string().replace('~', "~0").replace('/', "~1");
    format!("{pointer}/{segment}")
}
