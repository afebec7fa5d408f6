//! Links between the pages of the repository, and the check that each leads somewhere.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use anyhow::{Result, ensure};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The pages of the repository, by their path in it.
pub(super) type Pages = BTreeMap<PathBuf, Page>;

/// A page in Markdown.
pub(super) struct Page {
    pub(super) text: String,
    pub(super) links: Vec<Link>,
    /// What a link names behind `#`.
    anchors: HashSet<String>,
}

/// A link or a picture in a page.
pub(super) struct Link {
    pub(super) destination: String,
    /// Where it stands in the text, from its first bracket on.
    pub(super) place: Range<usize>,
}

/// What a link leads to.
pub(super) enum Goal<'l> {
    /// Another site, or a place in the same page.
    Elsewhere,
    /// A path of the repository, with what stands behind `#`.
    Path(PathBuf, Option<&'l str>),
}

impl Page {
    pub(super) fn read(text: String) -> Self {
        let (mut links, mut anchors, mut seen) = (Vec::new(), HashSet::new(), HashMap::new());
        let mut heading: Option<String> = None;
        for (event, place) in Parser::new_ext(&text, Options::all()).into_offset_iter() {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    links.push(Link { destination: dest_url.into_string(), place });
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let title = heading.take().unwrap_or_default();
                    anchors.insert(anchor(&title, &mut seen));
                }
                Event::Text(part) | Event::Code(part) => {
                    if let Some(title) = &mut heading {
                        title.push_str(&part);
                    }
                }
                _ => {}
            }
        }
        Self { text, links, anchors }
    }
}

/// What hosts of repositories make of a title: lower case, dashes for spaces, a number from the second of a name on.
fn anchor(title: &str, seen: &mut HashMap<String, usize>) -> String {
    let kept = title.to_lowercase();
    let kept = kept.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    let name: String = kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect();
    let count = seen.entry(name.clone()).or_default();
    *count += 1;
    if *count == 1 { name } else { format!("{name}-{}", *count - 1) }
}

impl Link {
    /// What it leads to from the page `from`.
    pub(super) fn goal(&self, from: &Path) -> Goal<'_> {
        let is_elsewhere =
            ["http://", "https://", "mailto:"].iter().any(|kind| self.destination.starts_with(kind));
        if is_elsewhere {
            return Goal::Elsewhere;
        }
        let (path, anchor) = match self.destination.split_once('#') {
            Some((path, anchor)) => (path, Some(anchor)),
            None => (self.destination.as_str(), None),
        };
        if path.is_empty() {
            return Goal::Path(from.to_owned(), anchor);
        }
        Goal::Path(plain(&from.parent().unwrap_or(Path::new("")).join(path)), anchor)
    }
}

/// The path without `.` and `..`, as far as those can be resolved.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        let is_inside = matches!(plain.components().next_back(), Some(Component::Normal(_)));
        match component {
            Component::CurDir => {}
            Component::ParentDir if is_inside => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// Fails with a list of all links that lead nowhere. `exists` says whether a path of the repository is there.
pub(super) fn check(pages: &Pages, exists: impl Fn(&Path) -> bool) -> Result<()> {
    let mut broken = Vec::new();
    for (path, page) in pages {
        for link in &page.links {
            let Goal::Path(goal, anchor) = link.goal(path) else { continue };
            let anchors = pages.get(&goal).map(|page| &page.anchors);
            let is_there = exists(&goal)
                && anchor.is_none_or(|anchor| anchors.is_none_or(|anchors| anchors.contains(anchor)));
            if !is_there {
                let line = page.text[..link.place.start].lines().count().max(1);
                broken.push(format!("{}:{line}: `{}` leads to nothing", path.display(), link.destination));
            }
        }
    }
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(all: &[(&str, &str)]) -> Pages {
        all.iter().map(|(path, text)| (PathBuf::from(path), Page::read((*text).to_owned()))).collect()
    }

    fn problems(all: &[(&str, &str)]) -> String {
        let pages = pages(all);
        let exists = |path: &Path| pages.contains_key(path) || path == Path::new("src/lib.rs");
        check(&pages, exists).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn links_lead_to_files_and_titles() {
        let other = "# A title: of `two` parts\n\n## Again\n\n## Again\n";
        let links = "[a](docs/b.md), [b](docs/b.md#a-title-of-two-parts), [c](docs/b.md#again-1), [d](#here), \
                     [e](src/lib.rs), [f](https://example.org/x)\n\n# Here\n";
        assert_eq!(problems(&[("a.md", links), ("docs/b.md", other)]), "");
        assert_eq!(problems(&[("a.md", ""), ("docs/b.md", "[up](../a.md) ![x](../src/lib.rs)")]), "");
    }

    #[test]
    fn a_link_to_nothing_is_named_with_its_line() {
        let text = "# Title\n\nfirst\nand [gone](docs/gone.md), [title](#titel)\n";
        let found = problems(&[("a.md", text)]);
        assert_eq!(found, "a.md:4: `docs/gone.md` leads to nothing\na.md:4: `#titel` leads to nothing");
        assert!(problems(&[("docs/b.md", "[out](../../a.md)")]).contains("leads to nothing"));
    }

    #[test]
    fn code_has_no_links() {
        assert_eq!(problems(&[("a.md", "`[x](gone.md)`\n\n```text\n[y](gone.md)\n```\n")]), "");
    }
}
