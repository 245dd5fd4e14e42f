//! Updates of the filter's configuration in an outage, delivered as Istio and Envoy Gateway do it (ECDS).

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::fault::crash;
use crate::stage::{Held, Stage};
use crate::support::bootstrap::Bootstrap;
use crate::support::ecds::Extension;
use crate::support::sink::Answer;

/// What is updated, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Credentials that the audit cluster refuses are replaced by others.
    Credentials,
    /// The environment, so that another VM comes in the place of the one that holds the records.
    AnotherVm,
    /// Something, four times.
    FourTimes,
    /// Something, after a VM has crashed.
    AfterCrash,
}

impl Update {
    /// The outage lasts for `span`, and the update comes in its middle.
    pub async fn happen(self, stage: &mut Stage, span: Duration) {
        if self == Self::Credentials {
            stage.mesh.sink.answer_all(Some(Answer::Status(401, "{}")));
        } else {
            stage.mesh.sink.down().await;
        }
        sleep(span / 2).await;
        self.update(stage, span / 2).await;
        if self == Self::Credentials {
            stage.mesh.sink.answer_all(None);
        } else {
            stage.mesh.sink.up().await;
        }
    }

    async fn update(self, stage: &Stage, span: Duration) {
        match self {
            Self::Credentials => apply(stage, span, 1, credentials).await,
            Self::FourTimes => apply(stage, span, 4, named).await,
            Self::AfterCrash => {
                crash(stage, span / 2).await;
                apply(stage, span / 2, 1, named).await;
            }
            Self::AnotherVm => {
                extension(stage).update_with(&json!({}), in_another_vm);
                sleep(span).await;
            }
        }
    }
}

fn extension(stage: &Stage) -> &Extension {
    let Held::Extension(extension) = &stage.held else {
        panic!("the filter comes from a file")
    };
    extension
}

/// So many updates within `span`.
async fn apply(stage: &Stage, span: Duration, times: u32, patch: fn(u32) -> Value) {
    for number in 1..=times {
        extension(stage).update(&patch(number));
        sleep(span / times).await;
    }
}

fn named(number: u32) -> Value {
    json!({"service": format!("update-{number}")})
}

fn credentials(number: u32) -> Value {
    json!({"audit_cluster": {"headers": {"authorization": format!("credentials-{number}")}}})
}

/// Another environment is another VM: the old one ends with its configuration.
fn in_another_vm(bootstrap: &mut Bootstrap) {
    bootstrap.set_variable("GENERATION", "2");
}
