//! What a deployment is made of: the recipes of this machine, and the providers that make their resources.

#[cfg(feature = "container")]
pub mod container;
#[cfg(any(feature = "container", feature = "process"))]
mod difference;
#[cfg(feature = "git")]
pub mod git;
#[cfg(any(feature = "container", feature = "postgres", feature = "sqlite"))]
mod keep;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
#[cfg(any(feature = "container", feature = "kubernetes", feature = "postgres"))]
mod password;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "process")]
pub mod process;
pub mod recipes;
#[cfg(feature = "release")]
pub mod release;
#[cfg(feature = "sample")]
pub mod sample;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(feature = "terraform")]
pub mod terraform;
#[cfg(any(feature = "postgres", feature = "process"))]
mod users;

#[cfg(feature = "process")]
pub use process::{
    ProcessProvider,
    keeper::{KeeperEvent, forsaken, keeper_events, keeper_main, keeper_main_from},
};
#[cfg(feature = "release")]
pub use release::{ReleaseProvider, source_digest};
