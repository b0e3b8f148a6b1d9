# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ferrite_global_optspecs
    string join \n h/help V/version
end

function __fish_ferrite_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_ferrite_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_ferrite_using_subcommand
    set -l cmd (__fish_ferrite_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c ferrite -n "__fish_ferrite_needs_command" -s h -l help -d 'Print help'
complete -c ferrite -n "__fish_ferrite_needs_command" -s V -l version -d 'Print version'
complete -c ferrite -n "__fish_ferrite_needs_command" -f -a "agent" -d 'Look up the node, heartbeat, serve Ironic\'s commands'
complete -c ferrite -n "__fish_ferrite_needs_command" -f -a "init" -d 'Process 1 of the ramdisk: prepare the machine, keep the agent running'
complete -c ferrite -n "__fish_ferrite_needs_command" -f -a "network" -d 'A part of process 1: addresses for every interface'
complete -c ferrite -n "__fish_ferrite_needs_command" -f -a "supervise" -d 'Keep an agent with these options running where no init of ours does: one that is started again goes on as the one before it'
complete -c ferrite -n "__fish_ferrite_needs_command" -f -a "inventory" -d 'Print what the machine is, as JSON'
complete -c ferrite -n "__fish_ferrite_needs_command" -f -a "config" -d 'About the configuration'
complete -c ferrite -n "__fish_ferrite_needs_command" -f -a "policy" -d 'About policies: who may do what'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l config-file -d 'Read this file instead of the usual one.' -r -F
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l config-dir -d 'Read *.conf in this directory instead of the usual ones.' -r -F
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l api_url -d 'Addresses of Ironic\'s API, separated by commas, or mdns to ask the network; without one there is no lookup and no heartbeat.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l global_request_id -d 'Sent as X-OpenStack-Request-ID with every request to Ironic.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l ironic_api_version -d 'Ironic\'s API version; asked from Ironic if not set.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l http_request_timeout -d 'Seconds a request to Ironic may take. [default: 30]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l lookup_timeout -d 'Seconds after which the agent stops looking for its node and starts anew. [default: 600]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l lookup_interval -d 'Fewest seconds between two lookups. [default: 1]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l agent_token -d 'The agent token, where Ironic does not give it with the lookup.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l observer_token_sha256 -d 'SHA-256, in hexadecimal digits, of the secret that an observer shows as Authorization: Bearer; it reads and changes nothing.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l listen_host -d 'Address the agent\'s API listens on; every address if not set.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l listen_interface -d 'Network interface to whose address the agent\'s API is bound, or auto for the address by which Ironic is reached; every address if not set. The interface itself is not checked: a packet for that address is taken wherever it comes in.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l listen_port -d 'Port the agent\'s API listens on. [default: 9999]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l tls_cert_file -d 'Certificate of the agent\'s API.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l tls_key_file -d 'Private key of the agent\'s API.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l auto_tls_allowed_clock_skew -d 'Seconds the reader\'s clock may at least be behind the agent\'s for the made certificate. [default: 3600]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l tls_min_version -d 'Oldest TLS version, both ways: 1.2 or 1.3. [default: 1.2]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l tls_cipher_suites -d 'Cipher suites of TLS 1.2, by OpenSSL\'s names, separated by colons.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l tls_certificate_curve -d 'Key of the made certificate: p256, p384 or p521. [default: p384]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l advertise_host -d 'Host that Ironic is told to call; found by the route to Ironic if not set.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l advertise_port -d 'Port that Ironic is told to call. [default: 9999]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l advertise_protocol -d 'Protocol that Ironic is told to call: http or https; https where a certificate is made. [default: http]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l ip_lookup_attempts -d 'How often the route to Ironic is looked for. [default: 6]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l ip_lookup_sleep -d 'Seconds between two such looks. [default: 10]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l network_interface -d 'Network interface whose address Ironic is told.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l api_pin -d 'Keys of which Ironic\'s API must show one, instead of a chain to an authority, and with insecure too: the SHA-256 of the certificate\'s public key (SubjectPublicKeyInfo) as curl writes it, sha256//BASE64, or in hexadecimal digits, separated by commas. Image servers are verified as ever.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l cafile -d 'The only authorities that are trusted, in PEM (CERTIFICATE or OpenSSL\'s TRUSTED CERTIFICATE); the system\'s if not set. A server\'s own certificate may be one of them, also one that calls itself an authority (CA:TRUE), as openssl req -x509 makes them: its times, its names and its uses count. Only authorities vouch for other certificates, as OpenSSL has it; the times of their own do not count then (RFC 5280, section 6.1).' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l certfile -d 'Certificate the agent shows to servers.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l keyfile -d 'Private key of that certificate.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l hardware_initialization_delay -d 'Seconds to wait before the hardware is looked at. [default: 0]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l disk_wait_attempts -d 'How often to look for the first disk; 0 does not wait. [default: 10]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l disk_wait_delay -d 'Seconds between two such looks. [default: 3]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l inject_files_priority -d 'Priority of the inject_files deploy step, 0 to 99; 0 leaves it out. [default: 0]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l ntp_server -d 'Time server to set the clock by, at start and before the machine is switched off.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l image_server_user -d 'User name for image servers.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l image_server_password -d 'Password for image servers.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l image_server_auth_strategy -d 'How image servers are told who asks: noauth or http_basic. Servers of images and of checksum files are told, and the same host where it redirects to itself (also from http to https on their own ports), but no other that is redirected to, and none that somebody else than Ironic names, whom a policy lets write images. [default: noauth]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l image_download_connection_timeout -d 'Seconds an image server may be silent. [default: 60]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l image_download_connection_retries -d 'How often a failed download is tried again. [default: 9]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l image_download_connection_retry_interval -d 'Seconds between two such tries. [default: 10]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l image_download_max_duration -d 'Seconds the download of an image may take, all attempts together but without the time the disk needs; 0 is no limit. [default: 0]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l permitted_image_formats -d 'Image formats that may be written, separated by commas; an empty list permits none. [default: raw,gpt,qcow2]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l log-config-append -d 'A configuration of Python\'s logging, which means nothing here.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l log-file -d 'Write the log to this file instead of standard error.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l log-dir -d 'Folder of log_file where that is no absolute path.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l log-date-format -d 'How the time of an event is written, in strftime\'s words; RFC 3339 with milliseconds if not set.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l syslog-log-facility -d 'Facility that syslog is told: LOG_USER, LOG_DAEMON, LOG_LOCAL0, …. [default: LOG_USER]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l inspection_callback_url -d 'Where inspection data are sent; or mdns.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l inspection_collectors -d 'What inspection collects.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l inspection_dhcp_wait_timeout -d 'Seconds to wait for an address before inspection. [default: 60]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l introspection_daemon_post_interval -d 'Seconds between two inspections. [default: 300]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l lldp_timeout -d 'Seconds to listen for LLDP. [default: 30.0]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l enable_vlan_interfaces -d 'VLAN interfaces to make.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l handed-over -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l other-logs -r
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l listen_tls -d 'Serve with tls_cert_file and tls_key_file; no certificate is made. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l nolisten_tls
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l enable_auto_tls -d 'Make a certificate for the agent\'s API. [default: true]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l noenable_auto_tls
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l insecure -d 'Do not verify TLS servers: Ironic\'s API and image servers. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l noinsecure
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l guard-special-filesystems -d 'Refuse to erase disks that hold a shared file system. [default: true]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l noguard-special-filesystems
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l fail_if_clock_not_set -d 'Fail where the clock cannot be set. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l nofail_if_clock_not_set
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l md5_enabled -d 'Accept MD5 checksums, also in os_hash_algo. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l nomd5_enabled
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l disable_deep_image_inspection -d 'Do not look into images before they are written. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l nodisable_deep_image_inspection
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l config_drive_rebuild -d 'Make the config drive\'s file system anew, always. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l noconfig_drive_rebuild
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l ignore_bootloader_failure -d 'Go on when the boot loader cannot be installed; the image\'s own wish counts if not set.'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l noignore_bootloader_failure
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l enable_bios_bootloader_install -d 'Install a BIOS boot loader by programs of the image. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l noenable_bios_bootloader_install
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -s d -l debug -d 'Log what helps to find a fault. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l nodebug
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l use-json -d 'Write each event as a JSON object. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l nouse-json
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l use-journal -d 'Send the log to the journal. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l nouse-journal
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l use-syslog -d 'Send the log to syslog. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l nouse-syslog
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l use-stderr -d 'Log to standard error beside a file, syslog or the journal. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l nouse-stderr
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l allow_installed_system -d 'Do what destroys even where the root file system is no ramdisk.'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l open_command_list -d 'Show the list of commands, without results, to conductors that send no token there (2023.1 to 2024.2). [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l noopen_command_list
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l standalone -d 'Serve commands without a lookup and without heartbeats.'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l inspection_dhcp_all_interfaces -d 'Wait for every interface\'s address before inspection. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l noinspection_dhcp_all_interfaces
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l introspection_daemon -d 'Repeat inspection. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l nointrospection_daemon
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l collect_lldp -d 'Listen for LLDP when the inventory is made. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l nocollect_lldp
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l enable_discard_erase -d 'Erase disks by discarding where nothing better is known. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l noenable_discard_erase
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l disable_bootc_deploy -d 'Do not deploy by bootc. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -l nodisable_bootc_deploy
complete -c ferrite -n "__fish_ferrite_using_subcommand agent" -s h -l help -d 'Print help'
complete -c ferrite -n "__fish_ferrite_using_subcommand init" -s h -l help -d 'Print help'
complete -c ferrite -n "__fish_ferrite_using_subcommand network" -l handed-over -r
complete -c ferrite -n "__fish_ferrite_using_subcommand network" -l own-log -r
complete -c ferrite -n "__fish_ferrite_using_subcommand network" -s h -l help -d 'Print help'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l config-file -d 'Read this file instead of the usual one.' -r -F
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l config-dir -d 'Read *.conf in this directory instead of the usual ones.' -r -F
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l api_url -d 'Addresses of Ironic\'s API, separated by commas, or mdns to ask the network; without one there is no lookup and no heartbeat.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l global_request_id -d 'Sent as X-OpenStack-Request-ID with every request to Ironic.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l ironic_api_version -d 'Ironic\'s API version; asked from Ironic if not set.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l http_request_timeout -d 'Seconds a request to Ironic may take. [default: 30]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l lookup_timeout -d 'Seconds after which the agent stops looking for its node and starts anew. [default: 600]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l lookup_interval -d 'Fewest seconds between two lookups. [default: 1]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l agent_token -d 'The agent token, where Ironic does not give it with the lookup.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l observer_token_sha256 -d 'SHA-256, in hexadecimal digits, of the secret that an observer shows as Authorization: Bearer; it reads and changes nothing.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l listen_host -d 'Address the agent\'s API listens on; every address if not set.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l listen_interface -d 'Network interface to whose address the agent\'s API is bound, or auto for the address by which Ironic is reached; every address if not set. The interface itself is not checked: a packet for that address is taken wherever it comes in.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l listen_port -d 'Port the agent\'s API listens on. [default: 9999]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l tls_cert_file -d 'Certificate of the agent\'s API.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l tls_key_file -d 'Private key of the agent\'s API.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l auto_tls_allowed_clock_skew -d 'Seconds the reader\'s clock may at least be behind the agent\'s for the made certificate. [default: 3600]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l tls_min_version -d 'Oldest TLS version, both ways: 1.2 or 1.3. [default: 1.2]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l tls_cipher_suites -d 'Cipher suites of TLS 1.2, by OpenSSL\'s names, separated by colons.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l tls_certificate_curve -d 'Key of the made certificate: p256, p384 or p521. [default: p384]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l advertise_host -d 'Host that Ironic is told to call; found by the route to Ironic if not set.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l advertise_port -d 'Port that Ironic is told to call. [default: 9999]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l advertise_protocol -d 'Protocol that Ironic is told to call: http or https; https where a certificate is made. [default: http]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l ip_lookup_attempts -d 'How often the route to Ironic is looked for. [default: 6]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l ip_lookup_sleep -d 'Seconds between two such looks. [default: 10]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l network_interface -d 'Network interface whose address Ironic is told.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l api_pin -d 'Keys of which Ironic\'s API must show one, instead of a chain to an authority, and with insecure too: the SHA-256 of the certificate\'s public key (SubjectPublicKeyInfo) as curl writes it, sha256//BASE64, or in hexadecimal digits, separated by commas. Image servers are verified as ever.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l cafile -d 'The only authorities that are trusted, in PEM (CERTIFICATE or OpenSSL\'s TRUSTED CERTIFICATE); the system\'s if not set. A server\'s own certificate may be one of them, also one that calls itself an authority (CA:TRUE), as openssl req -x509 makes them: its times, its names and its uses count. Only authorities vouch for other certificates, as OpenSSL has it; the times of their own do not count then (RFC 5280, section 6.1).' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l certfile -d 'Certificate the agent shows to servers.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l keyfile -d 'Private key of that certificate.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l hardware_initialization_delay -d 'Seconds to wait before the hardware is looked at. [default: 0]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l disk_wait_attempts -d 'How often to look for the first disk; 0 does not wait. [default: 10]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l disk_wait_delay -d 'Seconds between two such looks. [default: 3]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l inject_files_priority -d 'Priority of the inject_files deploy step, 0 to 99; 0 leaves it out. [default: 0]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l ntp_server -d 'Time server to set the clock by, at start and before the machine is switched off.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l image_server_user -d 'User name for image servers.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l image_server_password -d 'Password for image servers.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l image_server_auth_strategy -d 'How image servers are told who asks: noauth or http_basic. Servers of images and of checksum files are told, and the same host where it redirects to itself (also from http to https on their own ports), but no other that is redirected to, and none that somebody else than Ironic names, whom a policy lets write images. [default: noauth]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l image_download_connection_timeout -d 'Seconds an image server may be silent. [default: 60]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l image_download_connection_retries -d 'How often a failed download is tried again. [default: 9]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l image_download_connection_retry_interval -d 'Seconds between two such tries. [default: 10]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l image_download_max_duration -d 'Seconds the download of an image may take, all attempts together but without the time the disk needs; 0 is no limit. [default: 0]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l permitted_image_formats -d 'Image formats that may be written, separated by commas; an empty list permits none. [default: raw,gpt,qcow2]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l log-config-append -d 'A configuration of Python\'s logging, which means nothing here.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l log-file -d 'Write the log to this file instead of standard error.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l log-dir -d 'Folder of log_file where that is no absolute path.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l log-date-format -d 'How the time of an event is written, in strftime\'s words; RFC 3339 with milliseconds if not set.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l syslog-log-facility -d 'Facility that syslog is told: LOG_USER, LOG_DAEMON, LOG_LOCAL0, …. [default: LOG_USER]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l inspection_callback_url -d 'Where inspection data are sent; or mdns.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l inspection_collectors -d 'What inspection collects.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l inspection_dhcp_wait_timeout -d 'Seconds to wait for an address before inspection. [default: 60]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l introspection_daemon_post_interval -d 'Seconds between two inspections. [default: 300]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l lldp_timeout -d 'Seconds to listen for LLDP. [default: 30.0]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l enable_vlan_interfaces -d 'VLAN interfaces to make.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l listen_tls -d 'Serve with tls_cert_file and tls_key_file; no certificate is made. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l nolisten_tls
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l enable_auto_tls -d 'Make a certificate for the agent\'s API. [default: true]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l noenable_auto_tls
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l insecure -d 'Do not verify TLS servers: Ironic\'s API and image servers. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l noinsecure
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l guard-special-filesystems -d 'Refuse to erase disks that hold a shared file system. [default: true]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l noguard-special-filesystems
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l fail_if_clock_not_set -d 'Fail where the clock cannot be set. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l nofail_if_clock_not_set
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l md5_enabled -d 'Accept MD5 checksums, also in os_hash_algo. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l nomd5_enabled
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l disable_deep_image_inspection -d 'Do not look into images before they are written. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l nodisable_deep_image_inspection
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l config_drive_rebuild -d 'Make the config drive\'s file system anew, always. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l noconfig_drive_rebuild
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l ignore_bootloader_failure -d 'Go on when the boot loader cannot be installed; the image\'s own wish counts if not set.'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l noignore_bootloader_failure
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l enable_bios_bootloader_install -d 'Install a BIOS boot loader by programs of the image. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l noenable_bios_bootloader_install
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -s d -l debug -d 'Log what helps to find a fault. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l nodebug
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l use-json -d 'Write each event as a JSON object. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l nouse-json
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l use-journal -d 'Send the log to the journal. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l nouse-journal
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l use-syslog -d 'Send the log to syslog. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l nouse-syslog
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l use-stderr -d 'Log to standard error beside a file, syslog or the journal. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l nouse-stderr
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l allow_installed_system -d 'Do what destroys even where the root file system is no ramdisk.'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l open_command_list -d 'Show the list of commands, without results, to conductors that send no token there (2023.1 to 2024.2). [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l noopen_command_list
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l standalone -d 'Serve commands without a lookup and without heartbeats.'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l inspection_dhcp_all_interfaces -d 'Wait for every interface\'s address before inspection. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l noinspection_dhcp_all_interfaces
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l introspection_daemon -d 'Repeat inspection. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l nointrospection_daemon
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l collect_lldp -d 'Listen for LLDP when the inventory is made. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l nocollect_lldp
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l enable_discard_erase -d 'Erase disks by discarding where nothing better is known. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l noenable_discard_erase
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l disable_bootc_deploy -d 'Do not deploy by bootc. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -l nodisable_bootc_deploy
complete -c ferrite -n "__fish_ferrite_using_subcommand supervise" -s h -l help -d 'Print help'
complete -c ferrite -n "__fish_ferrite_using_subcommand inventory" -s h -l help -d 'Print help'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and not __fish_seen_subcommand_from show sample check" -s h -l help -d 'Print help'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and not __fish_seen_subcommand_from show sample check" -f -a "show" -d 'Print what an agent started so would use, and where each value is from'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and not __fish_seen_subcommand_from show sample check" -f -a "sample" -d 'Print a configuration file with every option'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and not __fish_seen_subcommand_from show sample check" -f -a "check" -d 'Look for errors in configuration files'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l config-file -d 'Read this file instead of the usual one.' -r -F
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l config-dir -d 'Read *.conf in this directory instead of the usual ones.' -r -F
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l api_url -d 'Addresses of Ironic\'s API, separated by commas, or mdns to ask the network; without one there is no lookup and no heartbeat.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l global_request_id -d 'Sent as X-OpenStack-Request-ID with every request to Ironic.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l ironic_api_version -d 'Ironic\'s API version; asked from Ironic if not set.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l http_request_timeout -d 'Seconds a request to Ironic may take. [default: 30]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l lookup_timeout -d 'Seconds after which the agent stops looking for its node and starts anew. [default: 600]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l lookup_interval -d 'Fewest seconds between two lookups. [default: 1]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l agent_token -d 'The agent token, where Ironic does not give it with the lookup.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l observer_token_sha256 -d 'SHA-256, in hexadecimal digits, of the secret that an observer shows as Authorization: Bearer; it reads and changes nothing.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l listen_host -d 'Address the agent\'s API listens on; every address if not set.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l listen_interface -d 'Network interface to whose address the agent\'s API is bound, or auto for the address by which Ironic is reached; every address if not set. The interface itself is not checked: a packet for that address is taken wherever it comes in.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l listen_port -d 'Port the agent\'s API listens on. [default: 9999]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l tls_cert_file -d 'Certificate of the agent\'s API.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l tls_key_file -d 'Private key of the agent\'s API.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l auto_tls_allowed_clock_skew -d 'Seconds the reader\'s clock may at least be behind the agent\'s for the made certificate. [default: 3600]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l tls_min_version -d 'Oldest TLS version, both ways: 1.2 or 1.3. [default: 1.2]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l tls_cipher_suites -d 'Cipher suites of TLS 1.2, by OpenSSL\'s names, separated by colons.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l tls_certificate_curve -d 'Key of the made certificate: p256, p384 or p521. [default: p384]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l advertise_host -d 'Host that Ironic is told to call; found by the route to Ironic if not set.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l advertise_port -d 'Port that Ironic is told to call. [default: 9999]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l advertise_protocol -d 'Protocol that Ironic is told to call: http or https; https where a certificate is made. [default: http]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l ip_lookup_attempts -d 'How often the route to Ironic is looked for. [default: 6]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l ip_lookup_sleep -d 'Seconds between two such looks. [default: 10]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l network_interface -d 'Network interface whose address Ironic is told.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l api_pin -d 'Keys of which Ironic\'s API must show one, instead of a chain to an authority, and with insecure too: the SHA-256 of the certificate\'s public key (SubjectPublicKeyInfo) as curl writes it, sha256//BASE64, or in hexadecimal digits, separated by commas. Image servers are verified as ever.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l cafile -d 'The only authorities that are trusted, in PEM (CERTIFICATE or OpenSSL\'s TRUSTED CERTIFICATE); the system\'s if not set. A server\'s own certificate may be one of them, also one that calls itself an authority (CA:TRUE), as openssl req -x509 makes them: its times, its names and its uses count. Only authorities vouch for other certificates, as OpenSSL has it; the times of their own do not count then (RFC 5280, section 6.1).' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l certfile -d 'Certificate the agent shows to servers.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l keyfile -d 'Private key of that certificate.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l hardware_initialization_delay -d 'Seconds to wait before the hardware is looked at. [default: 0]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l disk_wait_attempts -d 'How often to look for the first disk; 0 does not wait. [default: 10]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l disk_wait_delay -d 'Seconds between two such looks. [default: 3]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l inject_files_priority -d 'Priority of the inject_files deploy step, 0 to 99; 0 leaves it out. [default: 0]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l ntp_server -d 'Time server to set the clock by, at start and before the machine is switched off.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l image_server_user -d 'User name for image servers.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l image_server_password -d 'Password for image servers.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l image_server_auth_strategy -d 'How image servers are told who asks: noauth or http_basic. Servers of images and of checksum files are told, and the same host where it redirects to itself (also from http to https on their own ports), but no other that is redirected to, and none that somebody else than Ironic names, whom a policy lets write images. [default: noauth]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l image_download_connection_timeout -d 'Seconds an image server may be silent. [default: 60]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l image_download_connection_retries -d 'How often a failed download is tried again. [default: 9]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l image_download_connection_retry_interval -d 'Seconds between two such tries. [default: 10]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l image_download_max_duration -d 'Seconds the download of an image may take, all attempts together but without the time the disk needs; 0 is no limit. [default: 0]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l permitted_image_formats -d 'Image formats that may be written, separated by commas; an empty list permits none. [default: raw,gpt,qcow2]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l log-config-append -d 'A configuration of Python\'s logging, which means nothing here.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l log-file -d 'Write the log to this file instead of standard error.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l log-dir -d 'Folder of log_file where that is no absolute path.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l log-date-format -d 'How the time of an event is written, in strftime\'s words; RFC 3339 with milliseconds if not set.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l syslog-log-facility -d 'Facility that syslog is told: LOG_USER, LOG_DAEMON, LOG_LOCAL0, …. [default: LOG_USER]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l inspection_callback_url -d 'Where inspection data are sent; or mdns.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l inspection_collectors -d 'What inspection collects.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l inspection_dhcp_wait_timeout -d 'Seconds to wait for an address before inspection. [default: 60]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l introspection_daemon_post_interval -d 'Seconds between two inspections. [default: 300]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l lldp_timeout -d 'Seconds to listen for LLDP. [default: 30.0]' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l enable_vlan_interfaces -d 'VLAN interfaces to make.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l json -d 'Print JSON.'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l listen_tls -d 'Serve with tls_cert_file and tls_key_file; no certificate is made. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l nolisten_tls
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l enable_auto_tls -d 'Make a certificate for the agent\'s API. [default: true]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l noenable_auto_tls
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l insecure -d 'Do not verify TLS servers: Ironic\'s API and image servers. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l noinsecure
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l guard-special-filesystems -d 'Refuse to erase disks that hold a shared file system. [default: true]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l noguard-special-filesystems
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l fail_if_clock_not_set -d 'Fail where the clock cannot be set. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l nofail_if_clock_not_set
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l md5_enabled -d 'Accept MD5 checksums, also in os_hash_algo. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l nomd5_enabled
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l disable_deep_image_inspection -d 'Do not look into images before they are written. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l nodisable_deep_image_inspection
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l config_drive_rebuild -d 'Make the config drive\'s file system anew, always. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l noconfig_drive_rebuild
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l ignore_bootloader_failure -d 'Go on when the boot loader cannot be installed; the image\'s own wish counts if not set.'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l noignore_bootloader_failure
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l enable_bios_bootloader_install -d 'Install a BIOS boot loader by programs of the image. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l noenable_bios_bootloader_install
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -s d -l debug -d 'Log what helps to find a fault. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l nodebug
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l use-json -d 'Write each event as a JSON object. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l nouse-json
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l use-journal -d 'Send the log to the journal. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l nouse-journal
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l use-syslog -d 'Send the log to syslog. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l nouse-syslog
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l use-stderr -d 'Log to standard error beside a file, syslog or the journal. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l nouse-stderr
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l allow_installed_system -d 'Do what destroys even where the root file system is no ramdisk.'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l open_command_list -d 'Show the list of commands, without results, to conductors that send no token there (2023.1 to 2024.2). [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l noopen_command_list
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l standalone -d 'Serve commands without a lookup and without heartbeats.'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l inspection_dhcp_all_interfaces -d 'Wait for every interface\'s address before inspection. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l noinspection_dhcp_all_interfaces
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l introspection_daemon -d 'Repeat inspection. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l nointrospection_daemon
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l collect_lldp -d 'Listen for LLDP when the inventory is made. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l nocollect_lldp
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l enable_discard_erase -d 'Erase disks by discarding where nothing better is known. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l noenable_discard_erase
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l disable_bootc_deploy -d 'Do not deploy by bootc. [default: false]'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -l nodisable_bootc_deploy
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from sample" -s h -l help -d 'Print help'
complete -c ferrite -n "__fish_ferrite_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and not __fish_seen_subcommand_from sample check list-redundant upgrade" -s h -l help -d 'Print help'
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and not __fish_seen_subcommand_from sample check list-redundant upgrade" -f -a "sample" -d 'Print a policy file with every rule, commented out, and what it is for'
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and not __fish_seen_subcommand_from sample check list-redundant upgrade" -f -a "check" -d 'Look for errors in policy files, and tell who may do what'
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and not __fish_seen_subcommand_from sample check list-redundant upgrade" -f -a "list-redundant" -d 'Print the rules of policy files that say what is built in'
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and not __fish_seen_subcommand_from sample check list-redundant upgrade" -f -a "upgrade" -d 'Print a policy file with the new names of rules in the place of old ones'
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and __fish_seen_subcommand_from sample" -s h -l help -d 'Print help'
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and __fish_seen_subcommand_from check" -l file -d 'A policy file, YAML or JSON; rules of later ones win.' -r -F
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and __fish_seen_subcommand_from check" -l dir -d 'A directory with policy files, read after FILE in the order of their names.' -r -F
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and __fish_seen_subcommand_from check" -l credentials -d 'Who asks, as JSON: what Keystone\'s GET /v3/auth/tokens says of a token, or attributes as rules see them. "-" is standard input. Without it the agent\'s own kinds of callers are told.' -r -F
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and __fish_seen_subcommand_from check" -l target -d 'What is asked for, as JSON: {"node": {"owner": "…"}} for %(node.owner)s.' -r -F
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and __fish_seen_subcommand_from check" -l rule -d 'Ask this rule alone.' -r
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and __fish_seen_subcommand_from check" -l batch -d 'Read questions from standard input instead, a JSON object a line with rules, default_rule (or null), rule, credentials and target, and print an object for each: with allowed, or, where an agent would not load the rules, with refused.'
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and __fish_seen_subcommand_from list-redundant" -l file -d 'A policy file, YAML or JSON; rules of later ones win.' -r -F
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and __fish_seen_subcommand_from list-redundant" -l dir -d 'A directory with policy files, read after FILE in the order of their names.' -r -F
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and __fish_seen_subcommand_from list-redundant" -s h -l help -d 'Print help'
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and __fish_seen_subcommand_from upgrade" -l file -d 'A policy file, YAML or JSON. It is not changed.' -r -F
complete -c ferrite -n "__fish_ferrite_using_subcommand policy; and __fish_seen_subcommand_from upgrade" -s h -l help -d 'Print help'
