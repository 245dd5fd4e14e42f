//! Updates of the filter's configuration in an outage, delivered as by Istio and Envoy Gateway
//! (ECDS).

use std::time::Duration;

use serde_json::{Value, json};
use testkit::audit::sink::Answer;
use testkit::envoy::bootstrap::Bootstrap;
use testkit::envoy::ecds::Extension;
use tokio::time::sleep;

use crate::fault::crash;
use crate::stage::{Held, Stage};

/// Kind and time of the update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Credentials that the audit cluster refuses are replaced by others.
    Credentials,
    /// The environment, so that another VM replaces the one that holds the records.
    AnotherVm,
    /// Any key, four times.
    FourTimes,
    /// Any key, after a VM has crashed.
    AfterCrash,
}

impl Update {
    /// The outage lasts for `span`, with the update in its middle.
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

/// Applies `times` updates within `span`.
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

/// Another environment means another VM: the old one ends with its configuration.
fn in_another_vm(bootstrap: &mut Bootstrap) {
    bootstrap.set_variable("GENERATION", "2");
}
