//! What a deployment is made of: the recipes of this machine, and the providers that make their resources.

#[cfg(feature = "postgres")]
pub mod postgres;
pub mod recipes;
#[cfg(feature = "sample")]
pub mod sample;
#[cfg(feature = "sqlite")]
pub mod sqlite;
