//! `cargo xtask site`: the pages of the repository as a site, with every link checked.

mod links;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::process::{CommandExt, say};
use crate::stamp::{Key, Stamp};
use crate::workspace::Workspace;
use links::{Goal, Page, Pages};

/// What makes the site; from crates.io, into the tools folder.
const MDBOOK: &str = "0.5.4";
/// The order of the pages.
const SUMMARY: &str = "docs/SUMMARY.md";
const SETTINGS: &str = "docs/book.toml";
/// What links to files that are no page lead to.
const REPOSITORY: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/");

/// Checks the pages and builds the site; prints where it is.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    let pages = checked_pages(workspace)?;
    let sources = workspace.path("target/site");
    if sources.exists() {
        fs_err::remove_dir_all(&sources)?;
    }
    for (path, page) in &pages {
        // mdbook looks for the summary beside the outermost folder.
        let home = if path == Path::new(SUMMARY) { Path::new("SUMMARY.md") } else { path };
        write(&sources.join(home), relinked(page, path, home, &pages).as_bytes())?;
    }
    for picture in pictures(&pages) {
        write(&sources.join(&picture), &fs_err::read(workspace.path(&picture))?)?;
    }
    fs_err::copy(workspace.path(SETTINGS), workspace.path("target/book.toml"))?;
    workspace.command(mdbook(workspace)?).args(["build", "target"]).run()?;
    println!("{}", workspace.path("target/book/index.html").display());
    Ok(())
}

/// Fails unless every link leads somewhere and the summary has every page.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    checked_pages(workspace).map(drop)
}

fn checked_pages(workspace: &Workspace) -> Result<Pages> {
    let mut git = workspace.command("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "*.md"]);
    let mut pages = Pages::new();
    for path in git.read()?.lines().filter(|path| workspace.path(path).is_file()) {
        pages.insert(PathBuf::from(path), Page::read(fs_err::read_to_string(workspace.path(path))?));
    }
    links::check(&pages, |path| workspace.path(path).exists())?;
    pages.retain(|path, _| !is_for_a_registry(path));
    let summary = pages.get(Path::new(SUMMARY)).with_context(|| format!("there is no {SUMMARY}"))?;
    let listed: BTreeSet<_> = targets(summary, Path::new(SUMMARY)).collect();
    let is_listed = |path: &&PathBuf| listed.contains(*path) || *path == Path::new(SUMMARY);
    let missing: Vec<_> =
        pages.keys().filter(|path| !is_listed(path)).map(|path| path.display().to_string()).collect();
    ensure!(missing.is_empty(), "{SUMMARY} does not list {}", missing.join(", "));
    Ok(pages)
}

/// Whether a page is what a registry shows of a crate, and says no more than that.
fn is_for_a_registry(path: &Path) -> bool {
    path.starts_with("crates") && path.components().count() > 2
}

/// The paths that the links of a page lead to.
fn targets<'p>(page: &'p Page, path: &'p Path) -> impl Iterator<Item = PathBuf> + 'p {
    page.links.iter().filter_map(move |link| match link.goal(path) {
        Goal::Path(goal, _) => Some(goal),
        Goal::Elsewhere => None,
    })
}

/// Pictures that pages show.
fn pictures(pages: &Pages) -> BTreeSet<PathBuf> {
    let is_picture = |path: &PathBuf| path.extension().is_some_and(|kind| kind == "svg" || kind == "png");
    pages.iter().flat_map(|(path, page)| targets(page, path)).filter(is_picture).collect()
}

/// The text of the page `path` with links that hold on the site, where it is the page `home`: what is no page and no picture
/// is in the repository.
fn relinked(page: &Page, path: &Path, home: &Path, pages: &Pages) -> String {
    let shown = pictures(pages);
    let mut text = page.text.clone();
    for link in page.links.iter().rev() {
        let Goal::Path(goal, anchor) = link.goal(path) else { continue };
        let mut destination = if pages.contains_key(&goal) || shown.contains(&goal) {
            let up = "../".repeat(home.components().count() - 1);
            format!("{up}{}", goal.display())
        } else {
            format!("{REPOSITORY}{}", goal.display())
        };
        if let Some(anchor) = anchor {
            let _ = write!(destination, "#{anchor}");
        }
        let written = &text[link.place.clone()];
        // The last one: the text of a link may hold a picture with a link of its own.
        if let Some(start) = written.rfind(&format!("]({})", link.destination)) {
            let start = link.place.start + start + 2;
            text.replace_range(start..start + link.destination.len(), &destination);
        }
    }
    text
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    Ok(fs_err::write(path, bytes)?)
}

/// The program, installed if it is not there.
fn mdbook(workspace: &Workspace) -> Result<PathBuf> {
    let root = workspace.tool("mdbook");
    Stamp::new(workspace.tool("mdbook.stamp")).unless_done(&Key::new("mdbook").text(MDBOOK), || {
        say("Building mdbook (takes a few minutes)");
        let mut cargo = workspace.cargo();
        cargo
            .args([
                "install",
                "mdbook",
                "--locked",
                "--no-default-features",
                "--features=search",
                "--version",
                MDBOOK,
                "--root",
            ])
            .arg(&root)
            .run()
    })?;
    Ok(root.join("bin/mdbook"))
}
