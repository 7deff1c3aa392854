//! Breaking a lock that nobody holds any more, on request and by its id alone.

use code_core::{Address, Ctx, Error, ErrorKind, Result};

use super::config::Root;
use super::look::Recorded;
use super::place::Place;
use super::work::ready;
use super::{ROOT, Terraform};

impl Terraform {
    /// Breaks the lock of this id on the state of the root at an address of the context's deployment. Whoever holds
    /// it loses it: nobody but a person can tell that nobody works there any more.
    ///
    /// # Errors
    /// `terraform::no-root` where nothing is recorded of a root there, `terraform::unlock` where the tool refuses.
    pub async fn unlock(&self, ctx: &Ctx, address: &Address, id: &str) -> Result<()> {
        let place = Place::of(ctx, address)?;
        let recorded = Recorded::read(&place)?;
        let was = recorded.was().ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "terraform::no-root", format!("find a root at `{address}`")).help(
                format!("name a component that `status` lists as {ROOT}; a lock of what was never applied from here is broken with the tool itself"),
            )
        })?;
        let root = Root::read(was)?;
        let tool = self.tool(ctx, root.flavour).await?;
        ready(ctx, &self.settings, &tool, &root, &place).await?.runner.unlock(id).await
    }
}
