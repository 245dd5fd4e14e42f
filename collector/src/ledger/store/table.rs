//! The tables of the stored rows.

use crate::db::{Column, Table};

/// The rows.
pub const RECORDS: Table = Table {
    name: "records",
    columns: &[
        Column::integer("position"),
        Column::integer("at_unix_nano"),
        Column::integer("received_at_unix_nano"),
        Column::integer("time_unix_nano"),
        Column::integer("observed_time_unix_nano"),
        Column::small("flags"),
        Column::small("shape_id"),
        Column::small("user_key"),
        Column::small("name_key"),
        Column::small("email_key"),
        Column::small("session_key"),
        Column::small("token_key"),
        Column::small("stream_key"),
        Column::bytes("hash"),
        Column::bytes("uid"),
        Column::bytes("trace_id"),
        Column::bytes("span_id"),
        Column::text("body"),
        Column::text("attribute_values"),
    ],
};

/// What rows of one kind in a segment have in common.
pub const SHAPES: Table = Table {
    name: "shapes",
    columns: &[
        Column::small("segment"),
        Column::small("id"),
        Column::text("event_name"),
        Column::integer("severity_number"),
        Column::text("service_name"),
        Column::text("rule"),
        Column::text("action"),
        Column::text("outcome"),
        Column::small("is_open"),
        Column::text("template"),
    ],
};

/// Values that rows of a segment share.
pub const TEXTS: Table = Table {
    name: "texts",
    columns: &[
        Column::small("segment"),
        Column::small("id"),
        Column::text("text"),
    ],
};

/// The earliest and the latest time of the rows of each segment.
pub const SEGMENTS: Table = Table {
    name: "segments",
    columns: &[
        Column::small("segment"),
        Column::integer("first_at_unix_nano"),
        Column::integer("last_at_unix_nano"),
        Column::integer("generation"),
        Column::integer("is_swept"),
    ],
};
