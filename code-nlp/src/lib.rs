//! The language layer of CODE: from words to a spec whose every value knows where it comes from.

pub mod context;
pub mod resolve;
pub mod settings;
pub mod spec_file;
