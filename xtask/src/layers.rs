//! `cargo xtask layers`: who may depend on whom, and what must stay in its room.
//!
//! The edges are cargo's own answer; the rest is in `rules`.

use anyhow::{Context, Result};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::findings::{Finding, report};
use crate::rules;
use crate::source::Sources;

/// What one of our packages may depend on, among ours.
struct Layer {
    package: &'static str,
    /// The folder, for the message.
    folder: &'static str,
    /// In shipped code.
    normal: &'static [&'static str],
    /// In tests, beside the above.
    tests: &'static [&'static str],
}

/// Inwards only. Nobody is listed as a user of `candor` or `xtask`, and `xtask` uses none of ours,
/// so that it still builds when everything else is broken.
const LAYERS: [Layer; 5] = [
    Layer { package: "candor-core", folder: "core", normal: &[], tests: &[] },
    Layer {
        package: "candor-adapters",
        folder: "adapters",
        normal: &["candor-core"],
        tests: &["candor-harness"],
    },
    Layer { package: "candor-harness", folder: "harness", normal: &["candor-core"], tests: &[] },
    Layer {
        package: "candor",
        folder: "daemon",
        normal: &["candor-core", "candor-adapters"],
        tests: &["candor-harness"],
    },
    Layer { package: "xtask", folder: "xtask", normal: &[], tests: &[] },
];

/// Fails with a list of places if a dependency or a line of code is in the wrong room.
pub(crate) fn run(shell: &Shell) -> Result<()> {
    let json = cmd!(shell, "cargo metadata --format-version 1 --no-deps").quiet().read()?;
    let metadata = serde_json::from_str(&json).context("cargo metadata printed no JSON")?;
    let mut findings = check_edges(&metadata)?;
    findings.extend(rules::check(&Sources::read(&shell.current_dir())?));
    report("layers", &findings)?;
    println!("layers: dependencies point inwards, and everything is in its room");
    Ok(())
}

fn check_edges(metadata: &Value) -> Result<Vec<Finding>> {
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let ours: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut findings = Vec::new();
    for layer in LAYERS.iter().filter(|layer| !ours.contains(&layer.package)) {
        let message = format!("package {} is gone: take it out of LAYERS", layer.package);
        findings.push(Finding::new("xtask/src/layers.rs", 0, message));
    }
    for package in packages {
        let name = package["name"].as_str().context("a package without a name")?;
        let Some(layer) = LAYERS.iter().find(|layer| layer.package == name) else {
            let message = format!("package {name} has no layer: give it one in LAYERS");
            findings.push(Finding::new("xtask/src/layers.rs", 0, message));
            continue;
        };
        let edges = package["dependencies"].as_array().context("a package without a list")?;
        findings.extend(edges.iter().filter_map(|edge| check_edge(layer, edge, &ours)));
    }
    Ok(findings)
}

fn check_edge(layer: &Layer, edge: &Value, ours: &[&str]) -> Option<Finding> {
    let target = edge["name"].as_str().unwrap_or("");
    if !ours.contains(&target) {
        return None;
    }
    // Cargo writes null for a normal dependency.
    let kind = edge["kind"].as_str().unwrap_or("normal");
    let allowed = match kind {
        "normal" => layer.normal.contains(&target),
        "dev" => layer.normal.contains(&target) || layer.tests.contains(&target),
        // A build script of ours has no business with our own code.
        _ => false,
    };
    let path = format!("{}/Cargo.toml", layer.folder);
    let message =
        format!("{} must not have {target} as a {kind} dependency: see LAYERS", layer.package);
    (!allowed).then(|| Finding::new(&path, 0, message))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check_edges;

    /// The workspace as it should be, with one edge more.
    fn workspace_with(package: &str, target: &str, kind: &Value) -> Value {
        let edge = |name: &str, kind: &Value| json!({ "name": name, "kind": kind });
        let normal = Value::Null;
        let dev = json!("dev");
        let mut edges = vec![
            ("candor-core", vec![edge("serde", &normal)]),
            ("candor-adapters", vec![edge("candor-core", &normal), edge("candor-harness", &dev)]),
            ("candor-harness", vec![edge("candor-core", &normal)]),
            ("candor", vec![edge("candor-core", &normal), edge("candor-adapters", &normal)]),
            ("xtask", vec![edge("anyhow", &normal)]),
        ];
        for (name, edges) in &mut edges {
            if *name == package {
                edges.push(edge(target, kind));
            }
        }
        let packages: Vec<_> = edges
            .into_iter()
            .map(|(name, edges)| json!({ "name": name, "dependencies": edges }))
            .collect();
        json!({ "packages": packages })
    }

    fn messages(metadata: &Value) -> Vec<String> {
        let findings = check_edges(metadata).expect("the sample has the shape of cargo's answer");
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn edges_that_point_inwards_pass() {
        let nothing: [String; 0] = [];
        assert_eq!(messages(&workspace_with("candor", "candor-harness", &json!("dev"))), nothing);
        assert_eq!(messages(&workspace_with("candor", "tokio", &Value::Null)), nothing);
    }

    #[test]
    fn edges_that_point_outwards_fail() {
        let dev = json!("dev");
        for (package, target, kind) in [
            ("candor-core", "candor-adapters", &Value::Null),
            ("candor-core", "candor-harness", &dev),
            ("candor-harness", "candor-adapters", &Value::Null),
            ("candor-adapters", "candor-harness", &Value::Null),
            ("candor-adapters", "candor", &dev),
            ("candor", "candor-harness", &Value::Null),
            ("candor", "xtask", &dev),
            ("candor", "candor-core", &json!("build")),
            ("xtask", "candor-core", &Value::Null),
        ] {
            let found = messages(&workspace_with(package, target, kind));
            assert_eq!(found.len(), 1, "{package} -> {target}: {found:?}");
        }
    }

    #[test]
    fn a_package_without_a_layer_and_a_layer_without_a_package_fail() {
        let mut metadata = workspace_with("", "", &Value::Null);
        metadata["packages"][4]["name"] = json!("newcomer");
        assert_eq!(messages(&metadata).len(), 2);
    }
}
