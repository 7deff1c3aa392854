//! What stands between a plan and its effects: judges for the gate, and secrets that rest encrypted.
//!
//! ```text
//!             ┌ rego   policies in Rego, built in and your own ┐
//! spec, plan ─┤                                                ├─▶ Reports ─▶ the gate (code-core)
//!             └ cost   what it costs, where that is known      ┘
//!
//! steps ◀───── secrets  names to values, encrypted on disk
//! ```
//!
//! - [`rego`]: [`RegoScanner`] judges by policies. The first pack is in the binary; your own come on top.
//! - [`cost`]: [`CostScanner`] estimates, and says where it cannot.
//! - [`secrets`]: [`LocalSecrets`] keeps secrets in the state directory, and [`generate_password`] makes one.
//!
//! None of them decides anything: they report, and `code_core::checks` opens the gate or not.

pub mod cost;
pub mod rego;
pub mod secrets;

pub use cost::CostScanner;
pub use rego::RegoScanner;
pub use secrets::{LocalSecrets, generate_password};
