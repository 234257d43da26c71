//! Whether a value is as its JSON Schema says: the part of it that the document uses. Members that a schema does not name are
//! faults too, because no one could know of them.

use alm_core::domain::Timestamp;
use serde_json::Value;

pub(super) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        None => schema,
        Some(reference) => {
            let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            resolve(document, target.unwrap_or_else(|| panic!("{reference} leads nowhere")))
        }
    }
}

pub(super) fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut check = Check { document, faults: Vec::new() };
    check.value(schema, value, "");
    check.faults
}

struct Check<'a> {
    document: &'a Value,
    faults: Vec<String>,
}

impl<'a> Check<'a> {
    fn fault(&mut self, at: &str, what: impl std::fmt::Display) {
        self.faults.push(format!("at {at:?}: {what}"));
    }

    fn value(&mut self, schema: &'a Value, value: &Value, at: &str) {
        let schema = resolve(self.document, schema);
        for (keyword, rule) in schema.as_object().expect("a schema is an object") {
            self.keyword(keyword, rule, value, at);
        }
        if let (Some(members), false) = (value.as_object(), schema["properties"].is_null()) {
            for name in members.keys().filter(|name| schema["properties"].get(name.as_str()).is_none()) {
                self.fault(at, format_args!("{name} is not documented"));
            }
        }
    }

    fn keyword(&mut self, keyword: &str, rule: &'a Value, value: &Value, at: &str) {
        let holds = match keyword {
            // The rules behind the patterns are tested where they are kept.
            "description" | "example" | "title" | "default" | "pattern" => true,
            "type" => match rule {
                Value::Array(types) => types.iter().any(|one| is_of(one, value)),
                one => is_of(one, value),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "format" => value.as_str().is_none_or(|text| is_formatted(rule, text)),
            "minimum" => value.as_i64().is_none_or(|number| number >= rule.as_i64().unwrap()),
            "maxLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 <= rule.as_u64().unwrap()),
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= rule.as_u64().unwrap()),
            "required" => {
                let names = rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                value.as_object().is_none_or(|members| names.into_iter().all(|name| members.contains_key(name)))
            }
            "properties" => {
                for (name, schema) in rule.as_object().unwrap() {
                    if let Some(member) = value.get(name) {
                        self.value(schema, member, &format!("{at}/{name}"));
                    }
                }
                true
            }
            "additionalProperties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    self.value(rule, member, &format!("{at}/{name}"));
                }
                true
            }
            "propertyNames" => {
                for name in value.as_object().into_iter().flat_map(|members| members.keys()) {
                    self.value(rule, &Value::from(name.as_str()), at);
                }
                true
            }
            "maxProperties" => value.as_object().is_none_or(|members| members.len() as u64 <= rule.as_u64().unwrap()),
            "oneOf" => {
                let fits = |schema: &&Value| faults(self.document, schema, value).is_empty();
                rule.as_array().unwrap().iter().filter(fits).count() == 1
            }
            "items" => {
                for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                    self.value(rule, item, &format!("{at}/{place}"));
                }
                true
            }
            // What is not understood is not checked, and that must not go unseen.
            other => panic!("the checker does not know the keyword {other}"),
        };
        if !holds {
            self.fault(at, format_args!("{value} breaks {keyword}: {rule}"));
        }
    }
}

fn is_of(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the checker does not know the type {other}"),
    }
}

fn is_formatted(format: &Value, text: &str) -> bool {
    match format.as_str().unwrap() {
        // UTC with microseconds.
        "date-time" => Timestamp::parse(text).is_ok_and(|time| time.to_string() == text),
        "uuid" => {
            let lengths: Vec<_> = text.split('-').map(str::len).collect();
            lengths == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
        }
        "int32" | "int64" | "password" => true,
        other => panic!("the checker does not know the format {other}"),
    }
}
