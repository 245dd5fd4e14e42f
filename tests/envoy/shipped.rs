//! Other people's servers take what the filter sends.
