//! The shape of what is said as JSON.

use serde_json::Value;

/// Every field of a mirror, of the right type.
#[track_caller]
pub(super) fn check_mirror(mirror: &Value) {
    let or_null = |value: &Value, is: fn(&Value) -> bool| value.is_null() || is(value);
    let object = mirror.as_object().unwrap();
    for (field, is) in [
        ("name", Value::is_string as fn(&Value) -> bool),
        ("url", Value::is_string),
        ("upstream", Value::is_string),
        ("verdict", |value| *value == "live" || *value == "rejected"),
        ("selected", |value| value.is_null() || value.is_u64()),
        ("reasons", Value::is_array),
        ("predicted_seconds", |value| value.is_null() || value.is_f64()),
        ("success", |value| value.is_null() || value.is_f64()),
        ("bytes_per_second", |value| value.is_null() || value.is_u64()),
        ("first_byte_ms", |value| value.is_null() || value.is_u64()),
        ("coverage", |value| value.is_null() || value["served"].is_u64() && value["of"].is_u64()),
        ("stages_ms", Value::is_object),
        ("last_probe", |value| value.is_null() || is_time(value)),
        ("next_probe", |value| value.is_null() || is_time(value)),
        ("address", |value| value.is_null() || value.is_string()),
        ("layer_host", |value| value.is_null() || value.is_string()),
        ("budget", Value::is_object),
    ] {
        assert!(object.get(field).is_some_and(is), "{field}: {mirror:#}");
    }
    for stage in ["name", "connect", "tls", "ping", "token", "manifest", "config", "layer"] {
        assert!(
            mirror["stages_ms"].get(stage).is_some_and(|value| or_null(value, Value::is_number)),
            "{stage}"
        );
    }
    for figure in ["requests_today", "refusals_2_days", "bytes_today"] {
        assert!(mirror["budget"][figure].is_u64(), "{figure}");
    }
    for reason in mirror["reasons"].as_array().unwrap() {
        assert!(reason["kind"].is_string() && reason["detail"].is_string(), "{reason}");
        assert!(reason.get("since").is_some_and(|since| since.is_null() || is_time(since)), "{reason}");
    }
}

/// RFC 3339 in UTC.
pub(super) fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() >= 20 && text.ends_with('Z') && &text[10..11] == "T")
}
