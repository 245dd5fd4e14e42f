//! The command line: flags, serving, and the commands on a ledger.

pub(crate) mod database_flags;
pub(crate) mod flags;
pub(crate) mod ledger_flags;
pub(crate) mod offline;
pub(crate) mod program;
pub(crate) mod token_ref;
