//! JSON in its one canonical form: RFC 8785, with integers in full.

use std::{cmp::Ordering, io::Write as _};

use serde_json::{Map, Number, Value};

/// Appends a value.
pub(super) fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => write_string(out, text),
        Value::Array(elements) => {
            out.push(b'[');
            for (i, element) in elements.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_value(out, element);
            }
            out.push(b']');
        }
        Value::Object(members) => write_object(out, members),
    }
}

fn write_object(out: &mut Vec<u8>, members: &Map<String, Value>) {
    out.push(b'{');
    // They mostly stand in this order already; not if a name is beyond the basic plane, nor if serde_json's `preserve_order` is
    // on.
    if members.keys().is_sorted_by(|one, other| by_utf16(one, other).is_lt()) {
        write_members(out, members.iter());
    } else {
        let mut sorted: Vec<_> = members.iter().collect();
        sorted.sort_unstable_by(|(one, _), (other, _)| by_utf16(one, other));
        write_members(out, sorted.into_iter());
    }
    out.push(b'}');
}

fn write_members<'a>(out: &mut Vec<u8>, members: impl Iterator<Item = (&'a String, &'a Value)>) {
    for (i, (name, value)) in members.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        write_value(out, value);
    }
}

/// RFC 8785 section 3.2.3: by UTF-16 code units, which differs from Rust's order where U+E000 to U+FFFF meet what is above.
fn by_utf16(one: &str, other: &str) -> Ordering {
    if one.is_ascii() && other.is_ascii() { one.cmp(other) } else { one.encode_utf16().cmp(other.encode_utf16()) }
}

fn write_number(out: &mut Vec<u8>, number: &Number) {
    if let Some(integer) = number.as_u64() {
        write_unsigned(out, integer);
    } else if let Some(integer) = number.as_i64() {
        write_signed(out, integer);
    } else if let Some(double) = number.as_f64().filter(|double| double.is_finite()) {
        // As ECMAScript does, and so -0 as 0.
        out.extend_from_slice(ryu_js::Buffer::new().format_finite(double).as_bytes());
    } else {
        // Beyond all doubles: there only with serde_json's `arbitrary_precision`.
        out.extend_from_slice(number.to_string().as_bytes());
    }
}

/// Appends an integer, in full digits.
pub(super) fn write_unsigned(out: &mut Vec<u8>, integer: u64) {
    // Writing to a `Vec` never fails, here and below.
    let _ = write!(out, "{integer}");
}

/// Appends an integer, in full digits.
pub(super) fn write_signed(out: &mut Vec<u8>, integer: i64) {
    let _ = write!(out, "{integer}");
}

/// Appends a text (RFC 8785 section 3.2.2.2): quotes, backslashes and control characters are escaped, and nothing else.
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(plain) = rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        let (before, from) = rest.split_at(plain);
        out.extend_from_slice(before);
        if let Some((escaped, after)) = from.split_first() {
            write_escaped(out, *escaped);
            rest = after;
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn write_escaped(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            let _ = write!(out, "\\u{byte:04x}");
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn canonical(value: &Value) -> String {
        let mut out = Vec::new();
        write_value(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    fn canonical_text(json: &str) -> String {
        canonical(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn the_sample_of_rfc_8785_comes_out_as_it_says() {
        // Section 3.2.2 and 3.2.3.
        let sample = r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#;
        let expected = r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#;
        assert_eq!(canonical_text(sample), expected);
    }

    #[test]
    fn members_are_sorted_by_utf_16_code_units() {
        // Section 3.2.3. U+1F600 is after U+FB33 in UTF-8.
        let sample = r#"{
            "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
            "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"
        }"#;
        let expected = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\
            \"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\
            \"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}";
        assert_eq!(canonical_text(sample), expected);
        assert_eq!(
            canonical(&json!({ "b": { "\u{ffff}": 1, "𐀀": 2 }, "a": {} })),
            "{\"a\":{},\"b\":{\"𐀀\":2,\"\u{ffff}\":1}}"
        );
    }

    #[test]
    fn doubles_are_those_of_rfc_8785_appendix_b() {
        for (bits, expected) in [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            assert_eq!(canonical(&Value::from(f64::from_bits(bits))), expected);
        }
    }

    #[test]
    fn integers_keep_every_digit() {
        for integer in
            ["0", "-1", "9007199254740993", "-9007199254740993", "18446744073709551615", "-9223372036854775808"]
        {
            assert_eq!(canonical_text(integer), integer);
        }
        assert_eq!(canonical_text("18446744073709551616"), "18446744073709552000");
        assert_eq!(canonical_text("-0"), "0");
        assert_eq!(canonical_text("[1.0, 1e2]"), "[1,100]");
    }

    proptest! {
        #[test]
        fn it_is_json_for_the_same_text(text: String) {
            prop_assert_eq!(serde_json::from_str::<String>(&canonical(&Value::from(text.clone()))).unwrap(), text);
        }

        #[test]
        fn a_double_is_read_back_the_same(bits: u64) {
            let double = f64::from_bits(bits);
            prop_assume!(double.is_finite());
            prop_assert_eq!(canonical(&Value::from(double)).parse(), Ok(double));
        }

        #[test]
        fn the_order_of_names_is_that_of_their_utf_16(one in any::<String>(), other in any::<String>()) {
            let units = |text: &str| text.encode_utf16().collect::<Vec<_>>();
            prop_assert_eq!(by_utf16(&one, &other), units(&one).cmp(&units(&other)));
        }
    }
}
