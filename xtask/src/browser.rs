//! `cargo xtask browser`: the page, alone in Node and then in a real headless Chromium.
//!
//! It installs nothing unless it is told to, and never anywhere but into a folder of its own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::crash_sim::folders;

/// A package that is installed from npm, in the version that the tests were written for.
struct Package {
    name: &'static str,
    version: &'static str,
}

const PACKAGES: [Package; 2] = [
    Package { name: "playwright-core", version: "1.65.1" },
    Package { name: "axe-core", version: "4.14.1" },
];

/// The names that Chromium goes by.
const CHROMIUMS: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Where the tests are that need no browser, and those that do.
const TESTS_OF_PARTS: &str = "daemon/tests/page";
const TESTS_IN_BROWSER: &str = "daemon/tests/browser/run.mjs";

/// What measures the page.
const MEASUREMENT: &str = "daemon/tests/browser/measure.mjs";

/// Where screenshots go.
const SCREENSHOTS: &str = "docs/screenshots";

/// What to play.
#[derive(Default)]
pub(crate) struct Selection {
    pub(crate) install: bool,
    pub(crate) quick: bool,
    pub(crate) screenshots: bool,
    /// Only tests with this in their names.
    pub(crate) filter: Option<String>,
    pub(crate) seed: Option<u32>,
}

/// Plays the quick selection.
pub(crate) fn quick(shell: &Shell) -> Result<()> {
    run(shell, &Selection { quick: true, ..Selection::default() })
}

/// Plays what was chosen. What is missing of its programs is said, and its tests are skipped.
pub(crate) fn run(shell: &Shell, selection: &Selection) -> Result<()> {
    if cmd!(shell, "node --version").quiet().ignore_stderr().read().is_err() {
        println!("browser: skipped, since there is no node");
        return Ok(());
    }
    let (target, _) = folders(shell)?;
    if selection.install {
        install(shell, &target.join("browser"))?;
    }
    if selection.filter.is_none() {
        let tests = test_files(shell)?;
        cmd!(shell, "node --test {tests...}").run().context("a part of the page is wrong")?;
    }
    // What people run is what is shown, where there is the time to build it.
    let is_release = !selection.quick;
    build(shell, is_release)?;
    let _variables = variables(shell, &target, is_release);
    let tier = if selection.quick { "quick" } else { "full" };
    let _tier = shell.push_env("CANDOR_BROWSER_TIER", tier);
    let _filter =
        shell.push_env("CANDOR_BROWSER_FILTER", selection.filter.clone().unwrap_or_default());
    let _seed = selection.seed.map(|seed| shell.push_env("CANDOR_BROWSER_SEED", seed.to_string()));
    let _folder = selection.screenshots.then(|| {
        shell.push_env("CANDOR_BROWSER_SCREENSHOTS", shell.current_dir().join(SCREENSHOTS))
    });
    Ok(cmd!(shell, "node {TESTS_IN_BROWSER}").run()?)
}

/// Measures the release build's page, and returns its figures by their names, or `None` when a
/// program for it is missing.
pub(crate) fn measure(shell: &Shell) -> Result<Option<Value>> {
    let (target, _) = folders(shell)?;
    if cmd!(shell, "node --version").quiet().ignore_stderr().read().is_err()
        || chromium().is_none()
        || !target.join("browser/node_modules/playwright-core").exists()
    {
        return Ok(None);
    }
    build(shell, true)?;
    let _variables = variables(shell, &target, true);
    let said = cmd!(shell, "node {MEASUREMENT}").read()?;
    Ok(Some(serde_json::from_str(&said).context("the measurement has printed no JSON")?))
}

fn build(shell: &Shell, is_release: bool) -> Result<()> {
    let options: &[&str] = if is_release { &["--release"] } else { &[] };
    cmd!(shell, "cargo build {options...} --package candor --bin candor").run()?;
    Ok(cmd!(shell, "cargo build {options...} --package candor-harness --bin fake-agent").run()?)
}

/// Says to the tests where everything is, for as long as what is returned is kept.
fn variables<'a>(shell: &'a Shell, target: &Path, is_release: bool) -> Vec<xshell::PushEnv<'a>> {
    let folder = target.join(if is_release { "release" } else { "debug" });
    let browser = chromium().unwrap_or_else(|| PathBuf::from("/usr/bin/chromium"));
    [
        ("CANDOR_BROWSER_MODULES", target.join("browser")),
        ("CANDOR_BROWSER_CHROMIUM", browser),
        ("CANDOR_BROWSER_CANDOR", folder.join("candor")),
        ("CANDOR_BROWSER_FAKE_AGENT", folder.join("fake-agent")),
    ]
    .map(|(name, path)| shell.push_env(name, path))
    .into()
}

fn test_files(shell: &Shell) -> Result<Vec<PathBuf>> {
    let mut files = shell.read_dir(TESTS_OF_PARTS)?;
    files.retain(|file| file.to_string_lossy().ends_with(".test.mjs"));
    ensure!(!files.is_empty(), "{TESTS_OF_PARTS} has no tests");
    Ok(files)
}

fn chromium() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let mut found =
        CHROMIUMS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    found.find(|file| file.is_file())
}

/// Installs what is not there in its version.
fn install(shell: &Shell, folder: &Path) -> Result<()> {
    let is_there =
        |package: &Package| version_of(package, folder).as_deref() == Some(package.version);
    if PACKAGES.iter().all(is_there) {
        println!("browser: all packages are there");
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let packages = PACKAGES.iter().map(|package| format!("{}@{}", package.name, package.version));
    let npm = cmd!(
        shell,
        "npm install --prefix {folder} --ignore-scripts --no-audit --no-fund --no-progress"
    );
    npm.args(packages)
        .run()
        .context("cannot install: is npm there, and can it reach its registry?")?;
    ensure!(PACKAGES.iter().all(is_there), "npm has installed other versions");
    Ok(())
}

/// Returns the version of a package in the folder, if it is there.
fn version_of(package: &Package, folder: &Path) -> Option<String> {
    let manifest = folder.join("node_modules").join(package.name).join("package.json");
    let manifest: Value = serde_json::from_str(&fs::read_to_string(manifest).ok()?).ok()?;
    manifest["version"].as_str().map(str::to_owned)
}
