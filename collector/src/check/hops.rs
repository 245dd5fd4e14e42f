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
    /// Name of the track header.
    header: String,
    /// Lines of the rules that mark requests as tracked, and do not record them.
    marking: Vec<usize>,
    /// Whether it is a gateway: some rule marks requests.
    is_gateway: bool,
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
        let recorder = &config.recorder;
        let rules = || recorder.policy.iter().enumerate();
        let marking = rules().filter(|(_, rule)| rule.set_tracking.is_some() && !rule.recorded);

        self.0.push(Hop {
            file,
            plugin: plugin.to_owned(),
            header: recorder.tracking.track_header.clone(),
            marking: marking
                .map(|(place, _)| line_of(&format!("rules[{place}].set_tracking")))
                .collect(),
            is_gateway: rules().any(|(_, rule)| rule.set_tracking.is_some()),
            records_tracked: recorder.enabled
                && recorder.trust.names_any()
                && rules().any(|(_, rule)| rule.recorded && rule.conditions.tracked != Some(false)),
        });
    }

    /// Empty where gateways alone were checked: the other hop may be in another file.
    pub(super) fn unrecorded(&self) -> impl Iterator<Item = Unrecorded<'_>> {
        let are_gateways = self.0.iter().all(|hop| hop.is_gateway);
        let others_record = |place: usize, header: &str| {
            let mut others = self
                .0
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != place);
            others.any(|(_, hop)| hop.records_tracked && hop.header == header)
        };

        self.0
            .iter()
            .enumerate()
            .filter(move |(place, hop)| !are_gateways && !others_record(*place, &hop.header))
            .flat_map(|(_, hop)| {
                hop.marking.iter().map(|line| Unrecorded {
                    file: &hop.file,
                    plugin: &hop.plugin,
                    line: *line,
                })
            })
    }
}
