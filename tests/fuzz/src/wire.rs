//! What holds of all bytes that come from outside.

use clampd_guard::{LEAVES_MAX, fuzzing, leaves_of, parse_strict};
use clampd_model::{AgentClaims, AgentId, Credential, Secret};
use clampd_token::{SigningKey, agent_hmac_key, sign_agent_jwt_hs256, verify_agent_jwt};
use serde_json::Value;

/// What is read strictly is what everyone reads, and reads the same when it is written anew;
/// what is refused beyond that has a key twice.
pub fn json(body: &[u8]) {
    let lenient = serde_json::from_slice::<Value>(body);
    match parse_strict(body) {
        Ok(value) => {
            assert_eq!(lenient.expect("JSON"), value);
            let written = serde_json::to_vec(&value).expect("a value is written");
            let again = parse_strict(&written).expect("what was written is JSON");
            assert!(alike(&again, &value), "written anew: {again} of {value}");
            let leaves = leaves_of(&value);
            assert!(leaves.iter().count() <= LEAVES_MAX + 1);
        }
        Err(reason) => {
            let known = lenient.is_err() || reason.contains("same key twice");
            assert!(known, "{reason}");
            assert!(
                reason.is_ascii() && reason.len() < 120,
                "it repeats the body"
            );
        }
    }
}

/// Whether two values are the same but for the last digits of numbers with a fraction or an
/// exponent, which are read quickly and not exactly.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| alike(a, b)))
        }
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap_or(0.0), b.as_f64().unwrap_or(0.0));
            (a - b).abs() <= a.abs() * f64::EPSILON * 4.0
        }
        _ => a == b,
    }
}

/// A stream reads the same however it is cut, and what is written anew reads as it was read.
pub fn sse(bytes: &[u8]) {
    // The first byte says where the rest is cut.
    let [cut, stream @ ..] = bytes else { return };
    let (whole, refused) = fuzzing::events([stream]);
    let pieces = stream.chunks(usize::from(*cut).max(1));
    assert_eq!(
        fuzzing::events(pieces),
        (whole.clone(), refused),
        "cut by {cut}"
    );
    let bytes = stream.chunks(1);
    assert_eq!(
        fuzzing::events(bytes),
        (whole.clone(), refused),
        "byte by byte"
    );
    for event in &whole {
        let (again, refused) = fuzzing::events([event.as_slice()]);
        assert!(
            !refused || event.len() > fuzzing::EVENT_BYTES_MAX,
            "a written event is refused"
        );
        assert!(
            refused || again == [event.clone()],
            "an event is read in another way"
        );
    }
}

const NOW: u64 = 1_800_000_000;

/// No token that we did not sign is good, and no byte of one that we signed can be changed.
pub fn jwt(bytes: &[u8]) {
    let key = agent_hmac_key(&Secret::new("ags_fuzz"));
    let hs256 = Credential::Hs256 { key: key.clone() };
    let public_key = SigningKey::from_seed([7; 32]).verifying_key().to_text();
    let eddsa = Credential::EdDsa { public_key };
    let text = String::from_utf8_lossy(bytes);
    for credential in [&hs256, &eddsa] {
        assert!(
            verify_agent_jwt(&text, NOW, |_| Some(credential)).is_err(),
            "a forged token"
        );
    }
    // The first bytes say what is signed, and which byte of it is changed to which.
    let [at, to, later, name @ ..] = bytes else {
        return;
    };
    let Ok(sub) = AgentId::parse(&String::from_utf8_lossy(name)) else {
        return;
    };
    let claims = AgentClaims {
        sub,
        iss: Some(text.chars().take(40).collect()),
        iat: Some(NOW - 60),
        exp: NOW + u64::from(*later) - 128,
        aud: None,
        scopes: None,
    };
    let token = sign_agent_jwt_hs256(&claims, &key);
    let alive = claims.exp + 30 > NOW;
    let good = verify_agent_jwt(&token, NOW, |_| Some(&hs256));
    assert_eq!(good.is_ok(), alive, "{good:?}");
    assert!(
        verify_agent_jwt(&token, NOW, |_| Some(&eddsa)).is_err(),
        "another algorithm"
    );
    let mut changed = token.clone().into_bytes();
    let at = usize::from(*at) * 3 % changed.len();
    if changed[at] != *to {
        changed[at] = *to;
        let changed = String::from_utf8_lossy(&changed);
        assert!(
            verify_agent_jwt(&changed, NOW, |_| Some(&hs256)).is_err(),
            "byte {at} is {to}"
        );
    }
}
