//! Names whose values must not be recorded.
//!
//! Names are checked by word: `session_key` is a secret, `monkey` is not. Where words are joined in
//! lower case, only endings and parts count that occur in no other word. In doubt a name counts as
//! secret: excess redaction is visible and can be fixed, a leak is not.

/// Recorded in place of a value with a secret-looking name.
pub const REDACTED: &str = "[REDACTED]";

/// Words that make any name containing them a secret, also in the plural.
const WORDS: &str = "pass pw pin pincode otp totp hotp mfa key authn authz authorization authentication authenticate \
    session sess sid bearer signature sig hmac saml assertion verifier csrf xsrf cred salt cvv cvc cvn ssn ticket dpop";

/// Suffixes of words with the same effect, as in `csrfmiddlewaretoken`.
const ENDINGS: &str = "token secret cookie pwd auth jwt";

/// Parts of words with the same effect, as in `newpasswordhash` and `ASPSESSIONIDQQSRTABC`. Also
/// searched in the name without separators, as in `recovery_code`.
const PARTS: &str = "password passwd passphrase passcode credential sessionid sessid apikey appkey authkey accesskey \
    secretkey privatekey sharedkey signingkey encryptionkey sessionkey secretanswer secretquestion tokenid tokenvalue \
    tokenhash jwtassertion userpin cardpin newpin oldpin loginpin otpcode authcode authorizationcode mfacode \
    verificationcode recoverycode securitycode backupcode accesscode activationcode confirmationcode resetcode \
    logincode onetimecode pairingcode devicecode usercode invitecode";

/// The authorization code of OAuth (RFC 6749, section 4.1.2), valid for one use. In a longer name
/// `code` may mean anything.
const CODE: &str = "code";

/// Whether the name of a header, query parameter or cookie suggests a secret value.
///
/// A run of letters and digits is a word. So are its parts that start at a capital letter
/// (`accessToken`, `APIKey`), or where letters and digits meet (`oauth2`). Non-ASCII bytes separate
/// words.
#[must_use]
pub fn looks_secret(name: &str) -> bool {
    let mut runs = name.as_bytes().split(|byte| !byte.is_ascii_alphanumeric());
    name.eq_ignore_ascii_case(CODE)
        || runs.any(|run| is_secret(run) || has_secret_word(run))
        || has_secret_part(name)
}

fn has_secret_part(name: &str) -> bool {
    let joined: Vec<u8> = name.bytes().filter(u8::is_ascii_alphanumeric).collect();
    has_any(&joined, PARTS, Place::Anywhere)
}

fn has_secret_word(mut run: &[u8]) -> bool {
    while let Some((word, rest)) = run.split_at_checked(first_word(run))
        && !word.is_empty()
    {
        if is_secret(word) {
            return true;
        }
        run = rest;
    }
    false
}

/// The length of the first word, split at capitals and digits.
fn first_word(run: &[u8]) -> usize {
    let ends = |at: &usize| match run.get(at - 1..).unwrap_or_default() {
        [before, after, ..] if before.is_ascii_digit() != after.is_ascii_digit() => true,
        [before, after, ..] if before.is_ascii_lowercase() && after.is_ascii_uppercase() => true,
        [before, after, next, ..] => {
            before.is_ascii_uppercase() && after.is_ascii_uppercase() && next.is_ascii_lowercase()
        }
        _ => false,
    };
    (1..run.len()).find(ends).unwrap_or(run.len())
}

fn is_secret(word: &[u8]) -> bool {
    let lists = [
        (WORDS, Place::Whole),
        (ENDINGS, Place::End),
        (PARTS, Place::Anywhere),
    ];
    lists
        .iter()
        .any(|(list, place)| has_any(word, list, *place))
}

fn has_any(word: &[u8], list: &str, place: Place) -> bool {
    list.as_bytes()
        .split(|byte| *byte == b' ')
        .any(|known| place.has(word, known))
}

/// Where in a word the known text must occur.
#[derive(Clone, Copy)]
enum Place {
    Whole,
    End,
    Anywhere,
}

impl Place {
    fn has(self, word: &[u8], known: &[u8]) -> bool {
        word.windows(known.len()).enumerate().any(|(before, part)| {
            let after = word.get(before + known.len()..).unwrap_or_default();
            let is_end = matches!(after, [] | [b's' | b'S']);
            let is_here = match self {
                Self::Whole => before == 0 && is_end,
                Self::End => is_end,
                Self::Anywhere => true,
            };
            is_here && part.eq_ignore_ascii_case(known)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(names: &str, expected: bool) {
        for name in names.split_whitespace() {
            assert_eq!(looks_secret(name), expected, "{name}");
        }
    }

    #[test]
    fn names_of_secrets() {
        check(
            "authorization Proxy-Authorization www-authenticate cookie Set-Cookie set-cookie2 x-auth-token",
            true,
        );
        check(
            "password PASSWD new_password user[password] passwordHash old.pwd passphrase passcode pass pin otp",
            true,
        );
        check(
            "api_key X-API-Key key keyId client_secret id_token refresh-token csrf-token xsrf _csrf sid jwt bearer",
            true,
        );
        check(
            "x-hub-signature-256 X-Amz-Credential X-Amz-Signature sig session x-session-context cvv cvc2 ssn",
            true,
        );
        check(
            "SAMLResponse client_assertion code_verifier oauth_verifier hmac totp",
            true,
        );
    }

    #[test]
    fn words_begin_at_capitals_and_digits() {
        check(
            "accessToken APIKey XAuthToken userPIN PINCode sessionID oauth2 token2 2token OAuth2Key myKeyV2 jwtX",
            true,
        );
        check("PassWord toKen ACCESS_TOKEN", true);
    }

    #[test]
    fn plurals_are_secrets_too() {
        check(
            "tokens apiKeys API_KEYS cookies credentials passwords creds accesstokens sigs",
            true,
        );
    }

    #[test]
    fn words_written_together() {
        check(
            "userpassword accesstoken apikey x-apikey sessionid phpsessid JSESSIONID PHPSESSID clientsecret",
            true,
        );
        check(
            "csrfmiddlewaretoken newpasswordhash ASPSESSIONIDQQSRTABC basicauth userjwt xauth aspcookie",
            true,
        );
    }

    #[test]
    fn secrets_that_are_good_for_one_use() {
        check(
            "code Code authcode auth_code authorization_code ticket service-ticket dpop DPoP mfa mfa_code otpcode",
            true,
        );
        check(
            "verification_code verificationCode recovery-code securitycode Security_Code backup.codes device_code",
            true,
        );
        check(
            "tokenid tokenvalue token_hash secretanswer userpin user-pin jwtassertion sessionkey1 otp_code",
            true,
        );
        check(
            "zipcode zip_code error_code statusCode codec encode code_page barcode ticketing x-code-owner",
            false,
        );
    }

    #[test]
    fn names_of_no_secrets() {
        check(
            "monkey turkey keyboard tokenizer secretary author authority obsession pinned assignment spin",
            false,
        );
        check(
            "x-request-id user user_id device_id traceparent content-type :path :authority accept host status",
            false,
        );
        check(
            "bypass compass passenger access design signal side possession shipping Pinterest hotkey keynote",
            false,
        );
        check(
            "address class s ss _ - 42 x-1 countryCode page sort country_code",
            false,
        );
    }

    #[test]
    fn text_that_is_not_ascii_stands_between_words() {
        assert!(looks_secret("f\u{fc}r_key"));
        assert!(looks_secret("\u{20ac}pin\u{20ac}"));
        assert!(!looks_secret("\u{fc}"));
        assert!(!looks_secret(""));
    }

    fn known() -> Vec<&'static str> {
        [WORDS, ENDINGS, PARTS]
            .iter()
            .flat_map(|list| list.split(' '))
            .collect()
    }

    #[test]
    fn the_lists_are_plain_words() {
        for word in known() {
            assert!(
                !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()),
                "{word:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_known_word_is_found_in_any_company(
            before in "([a-z0-9]{0,6}[-_. \\[:])?", word in prop::sample::select(known()), plural: bool, after in "([-_. \\]:][a-z0-9]{0,6})?"
        ) {
            let word = if plural { format!("{word}s") } else { word.to_owned() };
            let name = format!("{before}{word}{after}");
            prop_assert!(looks_secret(&name), "{}", name);
            prop_assert!(looks_secret(&name.to_ascii_uppercase()), "{}", name);
            let (first, rest) = word.split_at(1);
            prop_assert!(looks_secret(&format!("my{}{rest}Of", first.to_ascii_uppercase())), "{}", word);
        }

        #[test]
        fn any_name_is_judged(name in "\\PC{0,12}") {
            let _ = looks_secret(&name);
        }
    }
}
