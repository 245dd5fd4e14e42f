//! Configurations that are checked together are hops of one mesh. Requests that a gateway marks as
//! tracked must be recorded by another hop.

use std::path::PathBuf;

use audit_filter::config::Config;

/// What the accepted configurations need from each other, in the order of reading.
#[derive(Default)]
pub(super) struct Hops(Vec<Hop>);

struct Hop {
    file: PathBuf,
    plugin: String,
    /// Lines of the rules that mark requests as tracked.
    tracking: Vec<usize>,
    records_tracked: bool,
}

/// A rule with tracked requests that no hop records.
pub(super) struct Unrecorded<'h> {
    pub(super) file: &'h PathBuf,
    pub(super) plugin: &'h str,
    pub(super) line: usize,
}

impl Hops {
    /// `line_of`: the line of a path in the configuration.
    pub(super) fn add(
        &mut self,
        file: PathBuf,
        plugin: &str,
        config: &Config,
        line_of: impl Fn(&str) -> usize,
    ) {
        let rules = || config.recorder.policy.iter().enumerate();
        let tracking = rules().filter(|(_, rule)| rule.set_tracking.is_some());

        let hop = Hop {
            file,
            plugin: plugin.to_owned(),
            tracking: tracking
                .map(|(place, _)| line_of(&format!("rules[{place}].set_tracking")))
                .collect(),
            records_tracked: config.recorder.enabled
                && rules().any(|(_, rule)| rule.recorded && rule.conditions.tracked != Some(false)),
        };

        self.0.push(hop);
    }

    /// Empty where one configuration alone was checked: the other hop may be in another file.
    pub(super) fn unrecorded(&self) -> impl Iterator<Item = Unrecorded<'_>> {
        let others_record = |place: usize| {
            self.0.len() == 1
                || self
                    .0
                    .iter()
                    .enumerate()
                    .any(|(other, hop)| other != place && hop.records_tracked)
        };

        self.0
            .iter()
            .enumerate()
            .filter(move |(place, _)| !others_record(*place))
            .flat_map(|(_, hop)| {
                hop.tracking.iter().map(|line| Unrecorded {
                    file: &hop.file,
                    plugin: &hop.plugin,
                    line: *line,
                })
            })
    }
}
