//! Symbolic links of an untrusted tree, followed within it. A copy to a file system without links
//! has the files in their place.

use super::safe_name::{Exceeded, MAX_DEPTH};
use std::collections::{BTreeMap, VecDeque};

/// Symbolic link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) path: Vec<String>,
    pub(crate) target: String,
}

/// Result of following the links of a tree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Followed {
    /// Paths over a link, each with the index of the file it leads to.
    pub(crate) files: Vec<(Vec<String>, usize)>,
    /// Links that lead out of the tree, to nothing, or in a cycle.
    pub(crate) lost: Vec<Vec<String>>,
}

/// Follows the links of a tree with these files. A link to a directory stands for everything below
/// that directory.
///
/// # Errors
/// [`Exceeded::Budget`] if there are more than `most` links and paths over them, or if a path is
/// deeper than the maximum depth of a tree. A copy with such a path could not be read.
pub(crate) fn follow(
    files: &[&[String]],
    links: &[Link],
    most: usize,
) -> Result<Followed, Exceeded> {
    // Each link costs at least one path, and is compared with every other link.
    if links.len() > most {
        return Err(Exceeded::Budget);
    }
    let targets = links
        .iter()
        .map(|link| (link.path.as_slice(), link.target.as_str()));
    let mut walk = Walk {
        files,
        targets: targets.collect(),
        open: Vec::new(),
        left: most,
        found: Followed::default(),
    };
    for link in links {
        walk.expand(&link.path, &link.path)?;
    }
    Ok(walk.found)
}

struct Walk<'a> {
    files: &'a [&'a [String]],
    targets: BTreeMap<&'a [String], &'a str>,
    /// Links through which the current one is seen, outermost first.
    open: Vec<&'a [String]>,
    left: usize,
    found: Followed,
}

impl<'a> Walk<'a> {
    /// Expands a link for one path by which the link is seen.
    fn expand(&mut self, link: &'a [String], seen_as: &[String]) -> Result<(), Exceeded> {
        self.spend(seen_as)?;
        let place = self.resolve(link);
        // A target that contains one of these links would contain itself.
        let place = place.filter(|place| {
            let mut around = self.open.iter().chain([&link]);
            !around.any(|link| link.starts_with(place)) && self.open.len() < MAX_LINKS
        });
        let Some(place) = place else {
            self.found.lost.push(seen_as.to_vec());
            return Ok(());
        };
        let seen = |path: &[String]| {
            let rest = path.strip_prefix(place.as_slice())?;
            Some([seen_as, rest].concat())
        };
        let mut is_lost = true;
        for (number, path) in self.files.iter().enumerate() {
            if let Some(path) = seen(path) {
                is_lost = false;
                self.spend(&path)?;
                self.found.files.push((path, number));
            }
        }
        let inner = self.targets.keys().copied();
        let inner: Vec<_> = inner.filter(|path| path.starts_with(&place)).collect();
        self.open.push(link);
        for inner in inner {
            if let Some(path) = seen(inner) {
                is_lost = false;
                self.expand(inner, &path)?;
            }
        }
        self.open.pop();
        if is_lost {
            self.found.lost.push(seen_as.to_vec());
        }
        Ok(())
    }

    /// Returns the path without links that a link leads to; `None` if it leaves the tree or does
    /// not end.
    fn resolve(&self, link: &[String]) -> Option<Vec<String>> {
        let mut place = link.to_vec();
        let mut rest = VecDeque::new();
        let mut links = 0;
        loop {
            if let Some(target) = self.targets.get(place.as_slice()) {
                links += 1;
                if links > MAX_LINKS || target.starts_with('/') {
                    return None;
                }
                place.pop();
                for part in target.rsplit('/') {
                    rest.push_front(part);
                }
            }
            match rest.pop_front() {
                None => return Some(place),
                Some("" | ".") => {}
                Some("..") => {
                    place.pop()?;
                }
                Some(name) => place.push(name.to_owned()),
            }
        }
    }

    fn spend(&mut self, path: &[String]) -> Result<(), Exceeded> {
        let left = self.left.checked_sub(1);
        let left = left.filter(|_| path.len() <= MAX_DEPTH);
        self.left = left.ok_or(Exceeded::Budget)?;
        Ok(())
    }
}

/// Maximum number of links followed in one path, as in Linux (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> Vec<String> {
        text.split('/').map(str::to_owned).collect()
    }

    /// Follows links written `path -> target`. Returns the paths with their files, and the lost
    /// links.
    fn followed(files: &[&str], links: &[&str]) -> (Vec<(String, String)>, Vec<String>) {
        let paths: Vec<_> = files.iter().map(|file| path(file)).collect();
        let paths: Vec<_> = paths.iter().map(Vec::as_slice).collect();
        let link = |text: &&str| {
            let (from, target) = text.split_once(" -> ").unwrap();
            let target = target.to_owned();
            Link {
                path: path(from),
                target,
            }
        };
        let links: Vec<_> = links.iter().map(link).collect();
        let found = follow(&paths, &links, 100).unwrap();
        let file = |(path, number): (Vec<String>, usize)| (path.join("/"), files[number].into());
        let lost = found.lost.iter().map(|path| path.join("/"));
        (found.files.into_iter().map(file).collect(), lost.collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(path, file): &(&str, &str)| ((*path).to_owned(), (*file).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_link_to_a_file_is_the_file() {
        for target in ["user_data", "./user_data", "../a//user_data", "../b/up"] {
            let link = format!("a/link -> {target}");
            let (files, lost) = followed(&["a/user_data"], &[&link, "b/up -> ../a/user_data"]);
            let expected = [("a/link", "a/user_data"), ("b/up", "a/user_data")];
            assert_eq!((files, lost), (pairs(&expected), vec![]), "{target}");
        }
    }

    #[test]
    fn a_link_to_a_directory_is_all_that_is_below() {
        let files = ["content/0000", "2018/user_data", "2018/net/json"];
        let links = [
            "latest -> 2018",
            "2018/net/link -> ../../content",
            "x -> latest/net",
        ];
        let expected = [
            ("latest/user_data", "2018/user_data"),
            ("latest/net/json", "2018/net/json"),
            ("latest/net/link/0000", "content/0000"),
            ("2018/net/link/0000", "content/0000"),
            ("x/json", "2018/net/json"),
            ("x/link/0000", "content/0000"),
        ];
        assert_eq!(followed(&files, &links), (pairs(&expected), vec![]));
    }

    #[test]
    fn links_that_lead_out_to_nothing_or_round_are_lost() {
        for target in [
            "/etc/passwd",
            "/",
            "../../../etc/passwd",
            "missing",
            "link",
            ".",
            "..",
            "../a",
        ] {
            let link = format!("a/link -> {target}");
            let lost = vec!["a/link".to_owned()];
            assert_eq!(followed(&["a/file"], &[&link]), (vec![], lost), "{target}");
        }
        let (files, lost) = followed(&["a/f", "b/g"], &["a/x -> ../b", "b/y -> ../a"]);
        let expected = [("a/x/g", "b/g"), ("b/y/f", "a/f")];
        assert_eq!(files, pairs(&expected));
        assert_eq!(lost, ["a/x/y", "b/y/x"]);
    }

    #[test]
    fn a_tree_that_doubles_at_every_link_ends_at_the_limit() {
        let mut links = Vec::new();
        for level in 0..60 {
            for name in ["x", "y"] {
                links.push(Link {
                    path: path(&format!("d{level}/{name}")),
                    target: format!("../d{}", level + 1),
                });
            }
        }
        let file = path("d60/f");
        assert_eq!(follow(&[&file], &links, 5000), Err(Exceeded::Budget));
    }

    #[test]
    fn links_that_lead_deeper_than_any_tree_is_read_end_at_the_limit() {
        let up = "../".repeat(7);
        let link = |number: u32| Link {
            path: path(&format!("d{number}/2/3/4/5/6/7/x")),
            target: format!("{up}d{}", number + 1),
        };
        let links = [link(0), link(1)];
        let deepest = path("d2/f");
        let found = follow(&[&deepest], &links, 100).unwrap();
        let depths: Vec<_> = found.files.iter().map(|(path, _)| path.len()).collect();
        assert_eq!(depths, [MAX_DEPTH, 9]);
        let deeper = path("d2/2/f");
        assert_eq!(follow(&[&deeper], &links, 100), Err(Exceeded::Budget));
    }

    proptest! {
        #[test]
        fn no_links_make_it_panic(links in prop::collection::vec("[abc](/[abc]){0,2} -> [abc./]{0,9}", 0..8)) {
            let link = |text: &String| {
                let (from, target) = text.split_once(" -> ").unwrap();
                Link { path: path(from), target: target.to_owned() }
            };
            let links: Vec<_> = links.iter().map(link).collect();
            let file = path("a/b/c");
            let _ = follow(&[&file], &links, 1000);
        }
    }
}
