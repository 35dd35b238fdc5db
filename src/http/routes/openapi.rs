//! The description of the API (OpenAPI 3.1), one file kept by hand beside the routes it describes.

use super::Call;
use crate::http::files;
use crate::http::message::{Body, Response};
use std::sync::OnceLock;

const DOCUMENT: &str = include_str!("../openapi.json");

/// The document. It is the same until the server is another, so it may be kept and asked for anew.
pub fn show(call: &Call<'_>) -> Response {
    static TAG: OnceLock<String> = OnceLock::new();
    let tag = TAG.get_or_init(|| files::tag_of(DOCUMENT.as_bytes()));
    let response = match files::has_tag(&call.request, tag) {
        true => Response::empty(304),
        false => Response::new(200, "application/json", Body::Static(DOCUMENT.as_bytes())),
    };
    response.with("etag", tag).with("cache-control", "no-cache")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::router::ROUTES;
    use crate::http::scope;
    use serde_json::Value;
    use std::collections::{BTreeMap, BTreeSet};

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).expect("the document is JSON")
    }

    /// Every operation with its method and its path, whose parameters are `:` as in the table of routes.
    fn operations(document: &Value) -> BTreeMap<String, &Value> {
        let mut found = BTreeMap::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            let segments =
                path.split('/').map(|segment| if segment.starts_with('{') { ":" } else { segment });
            let pattern = segments.collect::<Vec<_>>().join("/");
            for (method, operation) in item.as_object().expect("a path's methods") {
                let name = format!("{} {pattern}", method.to_uppercase());
                assert!(found.insert(name, operation).is_none(), "{method} {path} is there twice");
            }
        }
        found
    }

    /// What every reference below a value names.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, field)| match field {
                Value::String(target) if name == "$ref" => found.push(target.clone()),
                field => references(field, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn the_document_and_the_table_of_routes_are_one_list() {
        let document = document();
        let described: BTreeSet<String> = operations(&document).into_keys().collect();
        let routed: BTreeSet<String> = ROUTES
            .iter()
            .map(|route| format!("{} /{}", route.method.name(), route.pattern.join("/")))
            .collect();
        let missing: Vec<_> = routed.difference(&described).collect();
        let surplus: Vec<_> = described.difference(&routed).collect();
        assert!(missing.is_empty(), "routes that src/http/openapi.json does not know: {missing:?}");
        assert!(surplus.is_empty(), "src/http/openapi.json describes what is no route: {surplus:?}");
    }

    #[test]
    fn who_needs_a_login_is_told_as_the_table_has_it() {
        let document = document();
        let operations = operations(&document);
        for route in ROUTES {
            let name = format!("{} /{}", route.method.name(), route.pattern.join("/"));
            let operation = operations[&name];
            // `[]` is nobody, `[{}, …]` a login or none; without a word it is the document's cookie or bearer.
            let public = operation["security"]
                .as_array()
                .is_some_and(|ways| ways.is_empty() || ways.contains(&serde_json::json!({})));
            assert_eq!(public, route.public, "{name}");
            let answers = operation["responses"].as_object().expect("answers");
            for refusal in ["401", "403"] {
                assert!(route.public || answers.contains_key(refusal), "{name} does not tell of {refusal}");
            }
            // What a device may ask for may be signed instead, with a counter that can have been used.
            let signed = operation["security"]
                .as_array()
                .is_some_and(|ways| ways.contains(&serde_json::json!({ "signed": [] })));
            assert_eq!(signed, scope::permit(route.verb).is_some(), "{name}");
            assert_eq!(signed, answers.contains_key("409"), "{name}");
        }
    }

    #[test]
    fn names_are_unique_parameters_are_told_and_every_reference_leads_somewhere() {
        let document = document();
        let operations = operations(&document);
        let names: BTreeSet<&str> =
            operations.values().map(|operation| operation["operationId"].as_str().expect("a name")).collect();
        assert_eq!(names.len(), operations.len(), "an operationId is there twice");
        for (path, item) in document["paths"].as_object().expect("paths") {
            for operation in item.as_object().expect("methods").values() {
                let told = operation["parameters"].to_string();
                for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                    let inline = told.contains(&format!("\"name\":\"{name}\""));
                    assert!(
                        inline || told.contains(&format!("/parameters/{name}")),
                        "{path} does not tell of {name}"
                    );
                }
            }
        }
        let mut used = Vec::new();
        references(&document, &mut used);
        for target in &used {
            let pointer = target.strip_prefix('#').expect("references stay inside");
            assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
        }
        for kind in ["parameters", "headers", "responses", "schemas"] {
            for name in document["components"][kind].as_object().expect(kind).keys() {
                let target = format!("#/components/{kind}/{name}");
                assert!(used.contains(&target), "nothing refers to {target}");
            }
        }
    }

    #[test]
    fn the_document_is_of_this_version() {
        assert_eq!(document()["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}
