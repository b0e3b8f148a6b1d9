//! Which kernel modules a tiny instance needs, with what they depend on, in the order they load.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The named modules and all they depend on below `folder`, dependencies first.
pub(crate) fn load_order(folder: &Path, wanted: &[&str]) -> Result<Vec<PathBuf>> {
    let mut known = HashMap::new();
    index(&folder.join("kernel"), &mut known)?;
    let mut order = Vec::new();
    for name in wanted {
        append(name, &known, &mut order)?;
    }
    Ok(order)
}

fn index(folder: &Path, known: &mut HashMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            index(&path, known)?;
        } else if path.extension() == Some(OsStr::new("ko"))
            && let Some(stem) = path.file_stem()
        {
            known.insert(module_name(&stem.to_string_lossy()), path);
        }
    }
    Ok(())
}

fn append(name: &str, known: &HashMap<String, PathBuf>, order: &mut Vec<PathBuf>) -> Result<()> {
    let path = known
        .get(&module_name(name))
        .with_context(|| format!("this kernel has no module {name}"))?;
    if order.contains(path) {
        return Ok(());
    }
    for needed in dependencies(&fs::read(path)?) {
        append(&needed, known, order)?;
    }
    order.push(path.clone());
    Ok(())
}

/// The `depends=` entry of a module's .modinfo section, whose entries end with a zero byte.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(start) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = module
        .iter()
        .skip(start + KEY.len())
        .take_while(|byte| **byte != 0)
        .copied()
        .collect();
    String::from_utf8(value)
        .unwrap_or_default()
        .split(',')
        .filter(|name| !name.is_empty())
        .map(String::from)
        .collect()
}

fn module_name(name: &str) -> String {
    name.replace('-', "_")
}
