//! Pages of a list: one entry beyond the limit shows that there is a next page.

/// How many entries a list must yield at most, for [`page`].
pub(super) fn with_next(limit: i64) -> i64 {
    limit.saturating_add(1)
}

/// At most `limit` of these entries, and the cursor of the last one if there were more.
pub(super) fn page<T>(
    mut found: Vec<T>,
    limit: i64,
    cursor: impl FnOnce(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > wanted;
    found.truncate(wanted);

    let next_cursor = found.last().filter(|_| more).map(cursor);
    (found, next_cursor)
}
