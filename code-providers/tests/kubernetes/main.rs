//! Whole engines on a real API server: what the recipes of the platform `kubernetes` make, and what becomes of runs
//! while the server does not answer as it should.
#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod faults;
mod place;
mod proxy;
mod recipes;
