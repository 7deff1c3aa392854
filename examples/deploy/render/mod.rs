//! Nouns as text: pure functions from what is to what is shown, one page a file.
//!
//! Each takes a [`Style`](crate::style::Style) and gives a `String` of whole lines; none prints. What stands
//! on a page in colour also stands there in words, and no value is shown without where it comes from.

pub mod doctor;
pub mod error;
pub mod history;
pub mod page;
pub mod plan;
pub mod spec;
pub mod status;
pub mod summary;
pub mod time;
pub mod understood;
pub mod verb;
pub mod verdicts;
pub mod verified;

#[cfg(test)]
pub(crate) mod samples;
