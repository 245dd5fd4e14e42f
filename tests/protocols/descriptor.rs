//! The service of the transcoding rows, as a serialized `FileDescriptorSet` with `google.api.http`
//! rules.
//!
//! Written by hand: prost's types cannot represent the extension with the rule.

use base64ct::{Base64, Encoding};

/// The service's full name.
pub const SERVICE: &str = "demo.Accounts";

/// `google.api.http`, an extension of `google.protobuf.MethodOptions`
/// (google/api/annotations.proto).
const HTTP_RULE: u32 = 72_295_728;
/// Patterns of `google.api.HttpRule`.
const GET: u32 = 2;
const POST: u32 = 4;

/// ```proto
/// package demo;
/// message Password { string user = 1; string password = 2; }
/// message Account { string name = 1; }
/// service Accounts {
///   rpc ChangePassword(Password) returns (Account);  // POST /v1/users/{user}/password, body "*"
///   rpc List(Password) returns (stream Account);     // GET /v1/list
/// }
/// ```
pub fn base64() -> String {
    let methods = [
        method(
            "ChangePassword",
            &[text(POST, "/v1/users/{user}/password"), text(7, "*")].concat(),
            false,
        ),
        method("List", &text(GET, "/v1/list"), true),
    ];

    let service = [
        text(1, "Accounts"),
        nested(2, &methods[0]),
        nested(2, &methods[1]),
    ]
    .concat();
    let file = [
        text(1, "demo.proto"),
        text(2, "demo"),
        nested(4, &message("Password", &["user", "password"])),
        nested(4, &message("Account", &["name"])),
        nested(6, &service),
        text(12, "proto3"),
    ];
    Base64::encode_string(&nested(1, &file.concat()))
}

/// A `DescriptorProto` with string fields only.
fn message(name: &str, fields: &[&str]) -> Vec<u8> {
    let mut message = text(1, name);
    for (number, field) in (1..).zip(fields) {
        // LABEL_OPTIONAL is 1, TYPE_STRING is 9.
        let field = [
            text(1, field),
            int(3, number),
            int(4, 1),
            int(5, 9),
            text(10, field),
        ]
        .concat();
        message.extend(nested(2, &field));
    }

    message
}

fn method(name: &str, rule: &[u8], is_streaming: bool) -> Vec<u8> {
    let types = [text(2, ".demo.Password"), text(3, ".demo.Account")].concat();
    let options = nested(4, &nested(HTTP_RULE, rule));
    [text(1, name), types, options, int(6, is_streaming.into())].concat()
}

fn text(field: u32, text: &str) -> Vec<u8> {
    nested(field, text.as_bytes())
}

/// A length-delimited field.
fn nested(field: u32, bytes: &[u8]) -> Vec<u8> {
    [
        varint(field << 3 | 2),
        varint(u32::try_from(bytes.len()).unwrap()),
        bytes.to_vec(),
    ]
    .concat()
}

fn int(field: u32, value: u32) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn varint(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
