//! The users of the demo, and their places.

/// A device and a country, as an application's gateway would send them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) device_id: &'static str,
    pub(super) country: &'static str,
}

/// A user of the demo.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    pub(super) user_id: &'static str,
    pub(super) home: Place,
    pub(super) abroad: Place,
}

const fn person(
    user_id: &'static str,
    home: [&'static str; 2],
    abroad: [&'static str; 2],
) -> Person {
    let [device_id, country] = home;
    let home = Place { device_id, country };
    let [device_id, country] = abroad;

    Person {
        user_id,
        home,
        abroad: Place { device_id, country },
    }
}

/// All users.
pub(super) const STAFF: [Person; 6] = [
    person("ada", ["laptop-4f1c", "GB"], ["phone-77a0", "FR"]),
    person("alan", ["desktop-02be", "GB"], ["laptop-9d13", "GB"]),
    person("barbara", ["laptop-c3d9", "US"], ["tablet-18ee", "US"]),
    person("grace", ["laptop-e0a2", "US"], ["phone-5b6d", "DE"]),
    person("radia", ["desktop-7c44", "US"], ["phone-31f8", "CA"]),
    person("tim", ["laptop-a915", "CH"], ["kiosk-0001", "BR"]),
];
