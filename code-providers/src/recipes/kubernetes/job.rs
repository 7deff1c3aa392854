//! Work that ends: a Job that runs once, and again when it changes; a CronJob that makes one at its times.

use code_core::Result;
use code_core::intent::Kind;
use code_core::provider::Resource;
use code_core::recipe::At;
use serde_json::{Value, json};

use super::{app, limits, object, pod};

/// How often it is tried again where it fails.
const RETRIES: u32 = 3;
/// How long one may take, its retries included, until waiting for it is given up, in seconds.
const JOB_SECONDS: u32 = 3600;
/// How late a run may begin, in seconds: without a bound, a hundred missed ones stop the schedule for good
/// (<https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/>).
const LATE_SECONDS: u32 = 300;

pub(super) fn resources(at: &At<'_>) -> Result<Vec<Resource>> {
    let me = at.component;
    let image = limits::job(me)?;
    let mut resources = app::around(at)?;
    let needs = app::needs(at, &resources)?;
    let mut template = pod::template(at, app::container(at, image)?)?;
    template["spec"]["restartPolicy"] = json!("Never");
    let work = json!({"backoffLimit": RETRIES, "template": template});
    let made = match &me.schedule {
        Some(schedule) if me.kind == Kind::Cron => cron(at, schedule, work)?,
        _ => once(at, work)?,
    };
    resources.push(Resource { depends_on: needs, ..made });
    Ok(resources)
}

/// Its pods cannot be changed, so another one takes its place, and runs.
fn once(at: &At<'_>, mut work: Value) -> Result<Resource> {
    let me = at.component;
    if me.stopped {
        work["suspend"] = json!(true);
    }
    let job = object(at, "job", "batch/v1", "Job", &me.name, json!({"spec": work}))?;
    Ok(Resource { want: Some(job.wanted().with("ready_seconds", json!(JOB_SECONDS))), ..job })
}

fn cron(at: &At<'_>, schedule: &str, work: Value) -> Result<Resource> {
    let me = at.component;
    let spec = json!({
        "schedule": schedule,
        "timeZone": "Etc/UTC",
        // One that is not done when the next is due is left to end.
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": LATE_SECONDS,
        "suspend": me.stopped,
        "jobTemplate": {"spec": work},
    });
    object(at, "schedule", "batch/v1", "CronJob", &me.name, json!({"spec": spec}))
}
