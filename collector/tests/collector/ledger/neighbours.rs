//! Tables of others in the schema of a PostgreSQL ledger, such as those of extensions.

use audit_collector::db::{self, OpenError};
use postgres::{Client, NoTls};

use super::fixture::Fixture;

fn with_table(name: &str) -> Fixture {
    let fixture = Fixture::postgres();
    let mut client = Client::connect(&fixture.url, NoTls).unwrap();
    client
        .batch_execute(&format!("CREATE TABLE {name} (id BIGINT)"))
        .unwrap();
    fixture
}

#[test]
fn a_table_of_an_extension_is_no_obstacle() {
    let fixture = with_table("spatial_ref_sys");
    for _ in 0..2 {
        db::open(&fixture.url).unwrap();
    }
}

#[test]
fn a_table_with_a_name_of_the_ledger_is_refused() {
    let fixture = with_table("sessions");
    let refused = db::open(&fixture.url).err();
    assert!(matches!(refused, Some(OpenError::Foreign(name)) if name == "sessions"));
}
