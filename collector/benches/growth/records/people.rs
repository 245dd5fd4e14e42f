//! Users and their sessions.

use super::random::{Draw, Purpose};

/// Users; the first ones are the active ones.
const USERS: u64 = 100_000;
/// Percent of the users whose name and e-mail address a gateway knows.
const NAMED: u64 = 30;
/// Sessions at a time, and records of each on average. With ten million records over 35 days a
/// session lasts half an hour.
const SESSIONS: u64 = 300;
const RECORDS: u64 = 20;

const GIVEN: [&str; 16] = [
    "Anna", "Björn", "Chloé", "David", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jun", "Karla",
    "Luís", "Maja", "Noah", "Olga", "Paul",
];
const FAMILY: [&str; 16] = [
    "Alvarez",
    "Becker",
    "Chen",
    "Dubois",
    "Engel",
    "Fischer",
    "Gruber",
    "Huber",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Müller",
    "Novak",
    "Okafor",
    "Petrov",
];
const COUNTRIES: [&str; 8] = ["DE", "DE", "DE", "AT", "CH", "FR", "PL", "US"];

/// A user, as the gateway describes one.
pub struct User {
    pub id: String,
    pub name: Option<String>,
    pub email: Option<String>,
    address: String,
    agent: String,
    country: &'static str,
}

impl User {
    fn of(index: u64) -> Self {
        let mut draw = Draw::of(Purpose::User, index);
        let is_named = draw.below(100) < NAMED;
        let [given, family] = [GIVEN, FAMILY].map(|names| names[draw.below(16) as usize]);

        Self {
            id: format!("u{:08}", draw.below(100_000_000)),
            name: is_named.then(|| format!("{given} {family}")),
            email: is_named.then(|| format!("{given}.{family}{index}@example.com").to_lowercase()),
            address: address(&mut draw),
            agent: agent(&mut draw),
            country: COUNTRIES[draw.below(8) as usize],
        }
    }
}

/// One session of a user.
pub struct Session {
    pub user: User,
    pub id: String,
    /// As `token_mode: hmac` makes it.
    pub token_ref: String,
    /// What the gateway adds to tracked requests.
    pub context: String,
    pub address: String,
    pub agent: String,
}

impl Session {
    /// That of the record with this number.
    pub fn of_record(number: u64) -> Self {
        let slot = Draw::of(Purpose::Slot, number).below(SESSIONS);
        // The sessions of the slots begin one after the other.
        let turn = (number + slot * RECORDS) / (SESSIONS * RECORDS);
        Self::of(turn * SESSIONS + slot)
    }

    fn of(index: u64) -> Self {
        let mut draw = Draw::of(Purpose::Session, index);
        let user = User::of((draw.share().powi(2) * USERS as f64) as u64);
        let is_elsewhere = draw.below(5) == 0;
        let (address, agent) = if is_elsewhere {
            (address(&mut draw), agent(&mut draw))
        } else {
            (user.address.clone(), user.agent.clone())
        };

        let device = draw.uuid();
        Self {
            id: draw.uuid(),
            token_ref: format!(
                "hmac-sha256:k1:{}{}",
                hex::encode(draw.bytes()),
                hex::encode(draw.bytes())
            ),
            context: format!(r#"{{"device_id":"{device}","country":"{}"}}"#, user.country),
            user,
            address,
            agent,
        }
    }
}

fn address(draw: &mut Draw) -> String {
    let network = [(198, 18), (198, 51), (203, 0), (192, 0)][draw.below(4) as usize];
    let [third, fourth] = [draw.below(256), 1 + draw.below(254)];
    format!("{}.{}.{third}.{fourth}", network.0, network.1)
}

/// One of some dozens.
fn agent(draw: &mut Draw) -> String {
    let version = 128 + draw.below(12);
    match draw.below(5) {
        0 => format!(
            "Mozilla/5.0 (X11; Linux x86_64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"
        ),
        1 => format!(
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like \
             Gecko) Version/18.{} Safari/605.1.15",
            version % 6
        ),
        2 => format!("shop-app/7.{} (Android 15; Pixel 9)", version % 8),
        _ => format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
             Chrome/{version}.0.0.0 Safari/537.36"
        ),
    }
}
