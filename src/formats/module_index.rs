//! Lookup of the module that drives a device, and of the modules it needs, in the tables that
//! `depmod` writes (modules.dep(5)).
//!
//! Covers the three text files `modules.dep`, `modules.alias` and `modules.softdep`. Their location
//! and the loading of modules are not part of this.

use super::module_alias::{AliasTable, normalized};
use std::collections::{HashMap, HashSet};

/// Module tables of one kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleIndex {
    modules: HashMap<String, Module>,
    aliases: AliasTable,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Module {
    file: String,
    /// Required modules, in `depmod`'s order.
    needs: Vec<String>,
    /// Names of soft dependencies: modules or aliases.
    before: Vec<String>,
    after: Vec<String>,
}

/// File to load for a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// Path below the folder of the tables.
    pub file: &'a str,
    /// Whether the module requires it; otherwise it is a soft dependency.
    pub required: bool,
}

impl ModuleIndex {
    /// Parses the three files. Other lines are ignored, as `modprobe` does.
    #[must_use]
    pub fn parse(dependencies: &str, aliases: &str, soft_dependencies: &str) -> Self {
        let mut index = Self {
            modules: HashMap::new(),
            aliases: AliasTable::parse(aliases),
        };
        for line in dependencies.lines() {
            if let Some((file, needs)) = line.split_once(':') {
                let module = Module {
                    file: file.into(),
                    needs: needs.split_whitespace().map(name).collect(),
                    before: Vec::new(),
                    after: Vec::new(),
                };
                index.modules.insert(name(file), module);
            }
        }
        for line in soft_dependencies.lines() {
            index.soft_dependency(line);
        }
        index
    }

    /// Returns the modules for a name: the module of that name, otherwise all modules with that
    /// alias.
    pub fn find<'a>(&'a self, wanted: &'a str) -> Vec<&'a str> {
        match self.modules.get_key_value(&normalized(wanted)) {
            Some((module, _)) => vec![module],
            None => self.drivers(wanted).collect(),
        }
    }

    /// Returns the modules with an alias that matches this `modalias`.
    pub fn drivers<'a>(&'a self, modalias: &'a str) -> impl Iterator<Item = &'a str> {
        self.aliases.modules(modalias)
    }

    /// Returns the files to load for a module, in order: soft and hard dependencies first, each
    /// behind its own dependencies. Soft dependencies after the module come last. Empty if there is
    /// no such module.
    #[must_use]
    pub fn steps(&self, module: &str) -> Vec<Step<'_>> {
        let mut steps = Vec::new();
        if let Some(module) = self.modules.get(&normalized(module)) {
            self.append(module, true, &mut steps, &mut HashSet::new());
        }
        steps
    }

    fn append<'a>(
        &'a self,
        module: &'a Module,
        required: bool,
        steps: &mut Vec<Step<'a>>,
        visited: &mut HashSet<&'a str>,
    ) {
        let file = module.file.as_str();
        if !visited.insert(file) {
            if required && let Some(step) = steps.iter_mut().find(|step| step.file == file) {
                step.required = true;
            }
            return;
        }
        for module in self.named(&module.before) {
            self.append(module, false, steps, visited);
        }
        // `depmod` lists direct and indirect dependencies, so the last one is loaded first.
        let needs = module.needs.iter().rev();
        for module in needs.filter_map(|needed| self.modules.get(needed)) {
            self.append(module, required, steps, visited);
        }
        steps.push(Step { file, required });
        for module in self.named(&module.after) {
            self.append(module, false, steps, visited);
        }
    }

    fn named<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = &'a Module> {
        names
            .iter()
            .flat_map(|name| self.find(name))
            .filter_map(|module| self.modules.get(module))
    }

    /// Parses `softdep NAME pre: A B post: C`. A line without `pre:` and `post:` is ignored, as by
    /// `modprobe`.
    fn soft_dependency(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let (Some("softdep"), Some(module)) = (words.next(), words.next()) else {
            return;
        };
        let Some(module) = self.modules.get_mut(&normalized(module)) else {
            return;
        };
        let mut list = None;
        for word in words {
            match (word, &mut list) {
                ("pre:", _) => list = Some(&mut module.before),
                ("post:", _) => list = Some(&mut module.after),
                (name, Some(list)) => list.push(name.into()),
                (_, None) => {}
            }
        }
    }
}

/// Returns the module of a file: `isofs` for `kernel/fs/isofs/isofs.ko`.
fn name(file: &str) -> String {
    let base = file.rsplit('/').next().unwrap_or(file);
    normalized(base.split('.').next().unwrap_or(base))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEPENDENCIES: &str = "\
kernel/drivers/net/virtio_net.ko: kernel/net/core/failover.ko kernel/drivers/net/net_failover.ko
kernel/net/core/failover.ko:
kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko
kernel/drivers/scsi/sd_mod.ko: kernel/block/t10-pi.ko kernel/lib/crc64-rocksoft.ko kernel/lib/crc64.ko
kernel/block/t10-pi.ko: kernel/lib/crc64-rocksoft.ko kernel/lib/crc64.ko
kernel/lib/crc64-rocksoft.ko: kernel/lib/crc64.ko
kernel/lib/crc64.ko:
kernel/crypto/crc64_generic.ko:
kernel/fs/xfs/xfs.ko: kernel/lib/libcrc32c.ko
kernel/lib/libcrc32c.ko:
kernel/arch/x86/crypto/crc32c-intel.ko:
kernel/crypto/crc32c_generic.ko:
kernel/drivers/char/ipmi/ipmi_msghandler.ko:
kernel/drivers/char/ipmi/ipmi_devintf.ko: kernel/drivers/char/ipmi/ipmi_msghandler.ko
";
    const ALIASES: &str = "\
# Aliases extracted from modules themselves.
alias virtio:d00000001v* virtio_net
alias scsi:t-0x00* sd_mod
alias scsi:t-0x07* sd_mod
alias usb:v*p*d*dc*dsc*dp*ic08isc06ip50in* usb_storage
alias usb:v0419pAAF6d010[0-2]dc* uas
alias crc32c crc32c_intel
alias crc32c crc32c_generic
alias fs-xfs xfs
";
    const SOFT: &str = "\
# comment
softdep crc64_rocksoft pre: absent crc64_generic
softdep libcrc32c pre: crc32c
softdep ipmi_msghandler post: ipmi_devintf
softdep xfs gcm
";

    fn index() -> ModuleIndex {
        ModuleIndex::parse(DEPENDENCIES, ALIASES, SOFT)
    }

    fn required(file: &str) -> Step<'_> {
        Step {
            file,
            required: true,
        }
    }

    fn soft(file: &str) -> Step<'_> {
        Step {
            file,
            required: false,
        }
    }

    #[test]
    fn dependencies_come_before_a_module() {
        assert_eq!(
            index().steps("virtio-net"),
            [
                "kernel/net/core/failover.ko",
                "kernel/drivers/net/net_failover.ko",
                "kernel/drivers/net/virtio_net.ko"
            ]
            .map(required)
        );
    }

    #[test]
    fn an_alias_in_a_soft_dependency_of_a_dependency_is_resolved() {
        assert_eq!(
            index().steps("xfs"),
            [
                soft("kernel/arch/x86/crypto/crc32c-intel.ko"),
                soft("kernel/crypto/crc32c_generic.ko"),
                required("kernel/lib/libcrc32c.ko"),
                required("kernel/fs/xfs/xfs.ko"),
            ]
        );
    }

    #[test]
    fn a_module_in_a_soft_dependency_comes_first_where_it_is_there() {
        assert_eq!(
            index().steps("crc64-rocksoft"),
            [
                soft("kernel/crypto/crc64_generic.ko"),
                required("kernel/lib/crc64.ko"),
                required("kernel/lib/crc64-rocksoft.ko"),
            ]
        );
    }

    #[test]
    fn a_later_soft_dependency_comes_behind_its_module() {
        assert_eq!(
            index().steps("ipmi_msghandler"),
            [
                required("kernel/drivers/char/ipmi/ipmi_msghandler.ko"),
                soft("kernel/drivers/char/ipmi/ipmi_devintf.ko"),
            ]
        );
    }

    #[test]
    fn a_soft_dependency_that_is_needed_too_is_required() {
        let index = ModuleIndex::parse("a.ko: b.ko\nb.ko:\n", "", "softdep a pre: b\n");
        assert_eq!(index.steps("a"), ["b.ko", "a.ko"].map(required));
    }

    #[test]
    fn dependencies_in_a_circle_end() {
        let index = ModuleIndex::parse(
            "a.ko: b.ko\nb.ko: a.ko\n",
            "",
            "softdep a pre: b\nsoftdep b pre: a\n",
        );
        assert_eq!(index.steps("a"), ["b.ko", "a.ko"].map(required));
    }

    #[test]
    fn an_unknown_module_has_no_steps() {
        assert_eq!(index().steps("nouveau"), []);
    }

    #[test]
    fn a_name_is_a_module_or_an_alias() {
        let index = index();
        assert_eq!(index.find("crc64-rocksoft"), ["crc64_rocksoft"]);
        assert_eq!(index.find("fs-xfs"), ["xfs"]);
        assert_eq!(index.find("crc32c"), ["crc32c_intel", "crc32c_generic"]);
        assert_eq!(index.find("fs-ntfs"), [""; 0]);
    }

    #[test]
    fn a_device_finds_its_driver() {
        let index = index();
        let drivers = |modalias| index.drivers(modalias).collect::<Vec<_>>();
        assert_eq!(drivers("virtio:d00000001v00001AF4"), ["virtio_net"]);
        assert_eq!(drivers("scsi:t-0x00"), ["sd_mod"]);
        assert_eq!(drivers("scsi:t-0x05"), [""; 0]);
        assert_eq!(
            drivers("usb:v0781p5567d0100dc00dsc00dp00ic08isc06ip50in00"),
            ["usb_storage"]
        );
        assert_eq!(drivers("usb:v0419pAAF6d0101dc00"), ["uas"]);
        assert_eq!(drivers("usb:v0419pAAF6d0103dc00"), [""; 0]);
        assert_eq!(drivers(""), [""; 0]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(dependencies: String, aliases: String, soft: String, name: String) {
            let index = ModuleIndex::parse(&dependencies, &aliases, &soft);
            let _modules = index.find(&name);
            let _steps = index.steps(&name);
        }
    }
}
