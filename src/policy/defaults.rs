//! Default rules: one row per rule, and at least one row per operation of the API.
//!
//! The agent token identifies Ironic's conductor, which may do everything. An administrator of the
//! whole system by the identity service may do everything, too. An observer of the whole system may
//! read everything that is not secret. All other callers have the rights of an unauthenticated
//! client. The names of roles and scopes are Ironic's (`common/policy.py`) and Keystone's.

use super::rule::{DeprecatedRule, Deprecation, Operation, RuleDefault, Scope};

/// All rules: first the ones that others refer to, then those for API requests, then those for
/// commands in a request's body.
pub static DEFAULTS: &[RuleDefault] = &[
    RuleDefault {
        name: "agent_token",
        check: "is_agent_token:True",
        description: "Whoever shows the agent token: Ironic's conductor",
        ..RULE
    },
    RuleDefault {
        name: "system_admin",
        check: "role:admin and system_scope:all",
        description: "An administrator of the whole system, by Keystone",
        deprecated_rule: Some(DeprecatedRule {
            name: "is_admin",
            check: IS_ADMIN,
            reason: "Ironic's first policy file called it so, and asked for no scope.",
            since: "0.1.0",
        }),
        ..RULE
    },
    RuleDefault {
        name: "system_reader",
        check: "(role:reader or role:observer) and system_scope:all",
        description: "A reader or observer of the whole system: by Keystone, or by the observer's secret",
        deprecated_rule: Some(DeprecatedRule {
            name: "is_observer",
            check: IS_OBSERVER,
            reason: "Ironic's first policy file called it so, and asked for no scope.",
            since: "0.1.0",
        }),
        ..RULE
    },
    RuleDefault {
        name: "agent_admin",
        check: "rule:agent_token or rule:system_admin",
        description: "Who may run commands",
        ..RULE
    },
    RuleDefault {
        name: "agent_reader",
        check: "rule:agent_admin or rule:system_reader",
        description: "Who may read what is no secret",
        ..RULE
    },
    RuleDefault {
        name: "admin_api",
        check: "role:admin or role:administrator",
        description: "Legacy rule for administrators of the cloud",
        deprecated_for_removal: Some(OLD_NAME),
        ..RULE
    },
    RuleDefault {
        name: "is_admin",
        check: IS_ADMIN,
        description: "Legacy rule for full access",
        deprecated_for_removal: Some(OLD_NAME),
        ..RULE
    },
    RuleDefault {
        name: "is_observer",
        check: IS_OBSERVER,
        description: "Legacy rule for read-only access",
        deprecated_for_removal: Some(OLD_NAME),
        ..RULE
    },
    RuleDefault {
        name: "baremetal:agent:root:get",
        check: "@",
        description: "Read which versions the agent's API has",
        operations: &[get("/")],
        ..OPERATION
    },
    RuleDefault {
        name: "baremetal:agent:version:get",
        check: "@",
        description: "Read where the API's parts are",
        operations: &[get("/v1/")],
        ..OPERATION
    },
    RuleDefault {
        name: "baremetal:agent:status:get",
        check: "@",
        description: "Read since when the agent runs and its version",
        operations: &[get("/v1/status")],
        ..OPERATION
    },
    RuleDefault {
        name: "baremetal:agent:command:list",
        check: "rule:agent_reader",
        description: "List the commands, how far they are and how they ended. Who shows no credential reads no results of it",
        operations: &[get("/v1/commands/")],
        ..OPERATION
    },
    RuleDefault {
        name: "baremetal:agent:command:get",
        check: "rule:agent_reader",
        description: "Read one command, how far it is and how it ended. Who shows no credential reads no result of it",
        operations: &[get("/v1/commands/{id}")],
        ..OPERATION
    },
    RuleDefault {
        name: "baremetal:agent:command:run",
        check: "rule:agent_admin",
        description: "Run commands at all: decided before the request's body is read. Each command has a rule of its own, too",
        operations: &[post("/v1/commands/")],
        ..OPERATION
    },
    RuleDefault {
        name: "baremetal:agent:inventory:get",
        check: "rule:agent_reader",
        description: "Read what the machine is",
        operations: &[get("/v1/inventory")],
        ..OPERATION
    },
    RuleDefault {
        name: "baremetal:agent:log:get",
        check: "rule:agent_reader",
        description: "Read the agent's log; secrets are masked in it whoever reads",
        operations: &[get("/v1/log")],
        ..OPERATION
    },
    RuleDefault {
        name: "baremetal:agent:secrets:show",
        check: "!",
        description: "See secrets in the results of commands and in the steps they repeat: config drives, passwords, signatures of URLs. The \
                      agent keeps them in memory while anybody can pass this rule, and only then",
        operations: &[
            get("/v1/commands/"),
            get("/v1/commands/{id}"),
            post("/v1/commands/"),
        ],
        ..OPERATION
    },
    command(
        "baremetal:agent:command:clean.execute_clean_step",
        "Run a step of cleaning; the step has a rule of its own, too",
        &[Operation::Command("clean.execute_clean_step")],
    ),
    command(
        "baremetal:agent:command:clean.get_clean_steps",
        "List the steps of cleaning",
        &[Operation::Command("clean.get_clean_steps")],
    ),
    command(
        "baremetal:agent:command:deploy.execute_deploy_step",
        "Run a step of a deployment; the step has a rule of its own, too",
        &[Operation::Command("deploy.execute_deploy_step")],
    ),
    command(
        "baremetal:agent:command:deploy.get_deploy_steps",
        "List the steps of a deployment",
        &[Operation::Command("deploy.get_deploy_steps")],
    ),
    command(
        "baremetal:agent:command:flow.start_flow",
        "Run several commands; each needs its own rule, too",
        &[Operation::Command("flow.start_flow")],
    ),
    command(
        "baremetal:agent:command:image.install_bootloader",
        "Make the written image bootable",
        &[Operation::Command("image.install_bootloader")],
    ),
    command(
        "baremetal:agent:command:log.collect_system_logs",
        "Collect the machine's logs for Ironic",
        &[Operation::Command("log.collect_system_logs")],
    ),
    command(
        "baremetal:agent:command:poll.get_hardware_info",
        "Ask for the inventory by a command",
        &[Operation::Command("poll.get_hardware_info")],
    ),
    command(
        "baremetal:agent:command:poll.set_node_info",
        "Tell an agent without Ironic which node it is, and its token: as much as to hand the agent over",
        &[Operation::Command("poll.set_node_info")],
    ),
    command(
        "baremetal:agent:command:rescue.finalize_rescue",
        "Set the rescue password and hand the ramdisk to the machine's owner",
        &[Operation::Command("rescue.finalize_rescue")],
    ),
    command(
        "baremetal:agent:command:service.execute_service_step",
        "Run a step of servicing; the step has a rule of its own, too",
        &[Operation::Command("service.execute_service_step")],
    ),
    command(
        "baremetal:agent:command:service.get_service_steps",
        "List the steps of servicing",
        &[Operation::Command("service.get_service_steps")],
    ),
    command(
        "baremetal:agent:command:standby.get_partition_uuids",
        "Ask for the identifiers of the partitions that were written",
        &[Operation::Command("standby.get_partition_uuids")],
    ),
    command(
        "baremetal:agent:command:standby.power_off",
        "Switch the machine off",
        &[Operation::Command("standby.power_off")],
    ),
    command(
        "baremetal:agent:command:standby.prepare_image",
        "Write an image to the disk",
        &[Operation::Command("standby.prepare_image")],
    ),
    command(
        "baremetal:agent:command:standby.run_image",
        "Start the machine anew into what was written",
        &[Operation::Command("standby.run_image")],
    ),
    command(
        "baremetal:agent:command:standby.sync",
        "Write all that is buffered to the disks",
        &[Operation::Command("standby.sync")],
    ),
    command(
        "baremetal:agent:command:system.lockdown",
        "Take the network down and wait",
        &[Operation::Command("system.lockdown")],
    ),
    command(
        "baremetal:agent:step:erase_devices_metadata",
        "Destroy partition tables and signatures on every disk",
        &[Operation::Step("erase_devices_metadata")],
    ),
    command(
        "baremetal:agent:step:inject_files",
        "Write files into the deployed system",
        &[Operation::Step("inject_files")],
    ),
    command(
        "baremetal:agent:step:write_image",
        "Write the image",
        &[Operation::Step("write_image")],
    ),
];

/// Names of the rules that are evaluated for API requests before the body is read.
pub mod names {
    /// `GET /`.
    pub const ROOT_GET: &str = "baremetal:agent:root:get";
    /// `GET /v1/`.
    pub const VERSION_GET: &str = "baremetal:agent:version:get";
    /// `GET /v1/status`.
    pub const STATUS_GET: &str = "baremetal:agent:status:get";
    /// `GET /v1/commands/`.
    pub const COMMAND_LIST: &str = "baremetal:agent:command:list";
    /// `GET /v1/commands/ID`.
    pub const COMMAND_GET: &str = "baremetal:agent:command:get";
    /// `POST /v1/commands/`.
    pub const COMMAND_RUN: &str = "baremetal:agent:command:run";
    /// `GET /v1/inventory`.
    pub const INVENTORY_GET: &str = "baremetal:agent:inventory:get";
    /// `GET /v1/log`.
    pub const LOG_GET: &str = "baremetal:agent:log:get";
    /// Showing secrets in results.
    pub const SECRETS_SHOW: &str = "baremetal:agent:secrets:show";
    /// Prefix of the rules for commands.
    pub const COMMAND: &str = "baremetal:agent:command:";
    /// Prefix of the rules for steps.
    pub const STEP: &str = "baremetal:agent:step:";
}

/// An empty row.
const RULE: RuleDefault = RuleDefault {
    name: "",
    check: "!",
    description: "",
    operations: &[],
    scope_types: &[],
    deprecated_rule: None,
    deprecated_for_removal: None,
};

/// Defaults of a row for an operation. Tokens with domain scope are refused. An unauthenticated
/// client has no scope, which oslo.policy takes for project scope.
const OPERATION: RuleDefault = RuleDefault {
    scope_types: &[Scope::System, Scope::Project],
    ..RULE
};

const fn command(
    name: &'static str,
    description: &'static str,
    operations: &'static [Operation],
) -> RuleDefault {
    RuleDefault {
        name,
        check: "rule:agent_admin",
        description,
        operations,
        ..OPERATION
    }
}

const fn get(path: &'static str) -> Operation {
    Operation::Request {
        method: "GET",
        path,
    }
}

const fn post(path: &'static str) -> Operation {
    Operation::Request {
        method: "POST",
        path,
    }
}

const IS_ADMIN: &str = "rule:admin_api or role:baremetal_admin";
const IS_OBSERVER: &str = "role:observer or role:baremetal_observer";
const OLD_NAME: Deprecation = Deprecation {
    reason: "It asks for no scope: whoever has the role in any project passes. It is there for policy files that refer to it.",
    since: "0.1.0",
};
