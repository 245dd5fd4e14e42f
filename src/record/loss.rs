//! Records that were lost.

/// Why records were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LossReason {
    /// The buffer was full.
    BufferFull,
    /// One record alone is larger than the buffer.
    TooLarge,
    /// `retry.max_attempts` attempts failed.
    MaxAttempts,
    /// Older than `retry.max_age`.
    MaxAge,
    /// The audit cluster rejected it permanently.
    Rejected,
    /// The VM crashed before the record was sealed into a batch.
    VmCrash,
    /// Its configuration ended, and no successor took it over.
    Abandoned,
}

impl LossReason {
    /// The word on the wire and in statistics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BufferFull => "buffer_full",
            Self::TooLarge => "too_large",
            Self::MaxAttempts => "max_attempts",
            Self::MaxAge => "max_age",
            Self::Rejected => "rejected",
            Self::VmCrash => "vm_crash",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Records that were lost for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Why.
    pub reason: LossReason,
    /// How many; exact except for [`LossReason::VmCrash`], where it is an upper bound.
    pub count: u64,
    /// Lowest number among them.
    pub first: u64,
    /// Highest number among them. If the range is larger than `count`, the other numbers were not
    /// lost.
    pub last: u64,
}
