//! One call, written in many ways: the order of keys, blanks and escapes of JSON (RFC 8259) do
//! not show in what is judged.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::scene::Scene;

/// The fields of an object in every order.
fn orders(fields: &[String]) -> Vec<String> {
    let mut orders: Vec<Vec<&String>> = vec![Vec::new()];
    for field in fields {
        let longer = orders.iter().flat_map(|order| {
            (0..=order.len()).map(move |at| {
                let mut order = order.clone();
                order.insert(at, field);
                order
            })
        });
        orders = longer.collect();
    }
    let object = |order: &Vec<&String>| {
        let fields: Vec<&str> = order.iter().map(|field| field.as_str()).collect();
        format!("{{{}}}", fields.join(","))
    };
    orders.iter().map(object).collect()
}

/// A string as JSON in which every character is escaped.
fn escaped(text: &str) -> String {
    let units = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
    format!("\"{}\"", units.collect::<String>())
}

#[test]
fn a_call_is_judged_alike_however_its_json_is_written() {
    let scene = Scene::with(r#""mint":"local""#);
    for (sql, blocked) in [
        ("SELECT name FROM users", false),
        ("DROP TABLE users", true),
    ] {
        let params = |sql: &str| {
            [
                format!("\"sql\":{sql}"),
                "\"limit\":10".to_owned(),
                "\"note\":{\"by\":\"me\",\"at\":[1,2]}".to_owned(),
            ]
        };
        let plain = orders(&params(&format!("\"{sql}\"")));
        let mut written = plain.clone();
        written.extend(orders(&params(&escaped(sql))));
        written.extend(
            plain
                .iter()
                .map(|params| params.replace(',', " ,\n\t").replace(':', " : ")),
        );
        let mut bodies = Vec::new();
        for params in &written {
            let fields = [
                "\"tool\":\"database.query\"".into(),
                format!("\"params\":{params}"),
                "\"target_url\":\"\"".into(),
            ];
            bodies.extend(orders(&fields));
        }
        let mut seen = Vec::new();
        for body in &bodies {
            let (status, answer) =
                scene.send("POST", "/v1/verify", scene.headers(), body.as_bytes());
            let event = scene.last_event();
            assert_eq!((status, event.blocked), (200, blocked), "{body}");
            seen.push((
                event.matched_rules,
                event.params_hash,
                answer["risk_score"].to_string(),
            ));
        }
        assert!(seen.len() > 100);
        seen.dedup();
        assert_eq!(seen.len(), 1, "{sql}: {seen:?}");
    }
}
