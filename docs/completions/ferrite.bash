_ferrite() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="ferrite"
                ;;
            ferrite,agent)
                cmd="ferrite__subcmd__agent"
                ;;
            ferrite,config)
                cmd="ferrite__subcmd__config"
                ;;
            ferrite,init)
                cmd="ferrite__subcmd__init"
                ;;
            ferrite,inventory)
                cmd="ferrite__subcmd__inventory"
                ;;
            ferrite,network)
                cmd="ferrite__subcmd__network"
                ;;
            ferrite,policy)
                cmd="ferrite__subcmd__policy"
                ;;
            ferrite,supervise)
                cmd="ferrite__subcmd__supervise"
                ;;
            ferrite__subcmd__config,check)
                cmd="ferrite__subcmd__config__subcmd__check"
                ;;
            ferrite__subcmd__config,sample)
                cmd="ferrite__subcmd__config__subcmd__sample"
                ;;
            ferrite__subcmd__config,show)
                cmd="ferrite__subcmd__config__subcmd__show"
                ;;
            ferrite__subcmd__policy,check)
                cmd="ferrite__subcmd__policy__subcmd__check"
                ;;
            ferrite__subcmd__policy,list-redundant)
                cmd="ferrite__subcmd__policy__subcmd__list__subcmd__redundant"
                ;;
            ferrite__subcmd__policy,sample)
                cmd="ferrite__subcmd__policy__subcmd__sample"
                ;;
            ferrite__subcmd__policy,upgrade)
                cmd="ferrite__subcmd__policy__subcmd__upgrade"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        ferrite)
            opts="-h -V --help --version agent init network supervise inventory config policy"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ferrite__subcmd__agent)
            opts="-d -h --config-file --config-dir --api_url --global_request_id --ironic_api_version --http_request_timeout --lookup_timeout --lookup_interval --agent_token --observer_token_sha256 --listen_host --listen_interface --listen_port --listen_tls --nolisten_tls --tls_cert_file --tls_key_file --enable_auto_tls --noenable_auto_tls --auto_tls_allowed_clock_skew --tls_min_version --tls_cipher_suites --tls_certificate_curve --advertise_host --advertise_port --advertise_protocol --ip_lookup_attempts --ip_lookup_sleep --network_interface --insecure --noinsecure --api_pin --cafile --certfile --keyfile --hardware_initialization_delay --disk_wait_attempts --disk_wait_delay --guard-special-filesystems --noguard-special-filesystems --inject_files_priority --ntp_server --fail_if_clock_not_set --nofail_if_clock_not_set --image_server_user --image_server_password --image_server_auth_strategy --image_download_connection_timeout --image_download_connection_retries --image_download_connection_retry_interval --image_download_max_duration --md5_enabled --nomd5_enabled --disable_deep_image_inspection --nodisable_deep_image_inspection --permitted_image_formats --config_drive_rebuild --noconfig_drive_rebuild --ignore_bootloader_failure --noignore_bootloader_failure --enable_bios_bootloader_install --noenable_bios_bootloader_install --debug --nodebug --log-config-append --log-file --log-dir --log-date-format --use-json --nouse-json --use-journal --nouse-journal --use-syslog --nouse-syslog --syslog-log-facility --use-stderr --nouse-stderr --allow_installed_system --open_command_list --noopen_command_list --standalone --inspection_callback_url --inspection_collectors --inspection_dhcp_wait_timeout --inspection_dhcp_all_interfaces --noinspection_dhcp_all_interfaces --introspection_daemon --nointrospection_daemon --introspection_daemon_post_interval --lldp_timeout --collect_lldp --nocollect_lldp --enable_vlan_interfaces --enable_discard_erase --noenable_discard_erase --disable_bootc_deploy --nodisable_bootc_deploy --handed-over --other-logs --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --api_url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --global_request_id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ironic_api_version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --http_request_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lookup_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lookup_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --agent_token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --observer_token_sha256)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen_host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen_interface)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen_port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_cert_file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_key_file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --auto_tls_allowed_clock_skew)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_min_version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_cipher_suites)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_certificate_curve)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_protocol)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ip_lookup_attempts)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ip_lookup_sleep)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --network_interface)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --api_pin)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cafile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --keyfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hardware_initialization_delay)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disk_wait_attempts)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disk_wait_delay)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inject_files_priority)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ntp_server)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_password)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_auth_strategy)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_retries)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_retry_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_max_duration)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --permitted_image_formats)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-config-append)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-date-format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --syslog-log-facility)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_callback_url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_collectors)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_dhcp_wait_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --introspection_daemon_post_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lldp_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable_vlan_interfaces)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --handed-over)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --other-logs)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ferrite__subcmd__config)
            opts="-h --help show sample check"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ferrite__subcmd__config__subcmd__check)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ferrite__subcmd__config__subcmd__sample)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ferrite__subcmd__config__subcmd__show)
            opts="-d -h --json --config-file --config-dir --api_url --global_request_id --ironic_api_version --http_request_timeout --lookup_timeout --lookup_interval --agent_token --observer_token_sha256 --listen_host --listen_interface --listen_port --listen_tls --nolisten_tls --tls_cert_file --tls_key_file --enable_auto_tls --noenable_auto_tls --auto_tls_allowed_clock_skew --tls_min_version --tls_cipher_suites --tls_certificate_curve --advertise_host --advertise_port --advertise_protocol --ip_lookup_attempts --ip_lookup_sleep --network_interface --insecure --noinsecure --api_pin --cafile --certfile --keyfile --hardware_initialization_delay --disk_wait_attempts --disk_wait_delay --guard-special-filesystems --noguard-special-filesystems --inject_files_priority --ntp_server --fail_if_clock_not_set --nofail_if_clock_not_set --image_server_user --image_server_password --image_server_auth_strategy --image_download_connection_timeout --image_download_connection_retries --image_download_connection_retry_interval --image_download_max_duration --md5_enabled --nomd5_enabled --disable_deep_image_inspection --nodisable_deep_image_inspection --permitted_image_formats --config_drive_rebuild --noconfig_drive_rebuild --ignore_bootloader_failure --noignore_bootloader_failure --enable_bios_bootloader_install --noenable_bios_bootloader_install --debug --nodebug --log-config-append --log-file --log-dir --log-date-format --use-json --nouse-json --use-journal --nouse-journal --use-syslog --nouse-syslog --syslog-log-facility --use-stderr --nouse-stderr --allow_installed_system --open_command_list --noopen_command_list --standalone --inspection_callback_url --inspection_collectors --inspection_dhcp_wait_timeout --inspection_dhcp_all_interfaces --noinspection_dhcp_all_interfaces --introspection_daemon --nointrospection_daemon --introspection_daemon_post_interval --lldp_timeout --collect_lldp --nocollect_lldp --enable_vlan_interfaces --enable_discard_erase --noenable_discard_erase --disable_bootc_deploy --nodisable_bootc_deploy --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --api_url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --global_request_id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ironic_api_version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --http_request_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lookup_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lookup_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --agent_token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --observer_token_sha256)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen_host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen_interface)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen_port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_cert_file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_key_file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --auto_tls_allowed_clock_skew)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_min_version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_cipher_suites)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_certificate_curve)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_protocol)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ip_lookup_attempts)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ip_lookup_sleep)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --network_interface)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --api_pin)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cafile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --keyfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hardware_initialization_delay)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disk_wait_attempts)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disk_wait_delay)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inject_files_priority)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ntp_server)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_password)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_auth_strategy)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_retries)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_retry_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_max_duration)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --permitted_image_formats)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-config-append)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-date-format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --syslog-log-facility)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_callback_url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_collectors)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_dhcp_wait_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --introspection_daemon_post_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lldp_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable_vlan_interfaces)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ferrite__subcmd__init)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ferrite__subcmd__inventory)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ferrite__subcmd__network)
            opts="-h --handed-over --own-log --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --handed-over)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --own-log)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ferrite__subcmd__policy)
            opts="-h --help sample check list-redundant upgrade"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ferrite__subcmd__policy__subcmd__check)
            opts="-h --file --dir --credentials --target --rule --batch --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --credentials)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --target)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --rule)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ferrite__subcmd__policy__subcmd__list__subcmd__redundant)
            opts="-h --file --dir --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ferrite__subcmd__policy__subcmd__sample)
            opts="-h --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ferrite__subcmd__policy__subcmd__upgrade)
            opts="-h --file --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 3 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        ferrite__subcmd__supervise)
            opts="-d -h --config-file --config-dir --api_url --global_request_id --ironic_api_version --http_request_timeout --lookup_timeout --lookup_interval --agent_token --observer_token_sha256 --listen_host --listen_interface --listen_port --listen_tls --nolisten_tls --tls_cert_file --tls_key_file --enable_auto_tls --noenable_auto_tls --auto_tls_allowed_clock_skew --tls_min_version --tls_cipher_suites --tls_certificate_curve --advertise_host --advertise_port --advertise_protocol --ip_lookup_attempts --ip_lookup_sleep --network_interface --insecure --noinsecure --api_pin --cafile --certfile --keyfile --hardware_initialization_delay --disk_wait_attempts --disk_wait_delay --guard-special-filesystems --noguard-special-filesystems --inject_files_priority --ntp_server --fail_if_clock_not_set --nofail_if_clock_not_set --image_server_user --image_server_password --image_server_auth_strategy --image_download_connection_timeout --image_download_connection_retries --image_download_connection_retry_interval --image_download_max_duration --md5_enabled --nomd5_enabled --disable_deep_image_inspection --nodisable_deep_image_inspection --permitted_image_formats --config_drive_rebuild --noconfig_drive_rebuild --ignore_bootloader_failure --noignore_bootloader_failure --enable_bios_bootloader_install --noenable_bios_bootloader_install --debug --nodebug --log-config-append --log-file --log-dir --log-date-format --use-json --nouse-json --use-journal --nouse-journal --use-syslog --nouse-syslog --syslog-log-facility --use-stderr --nouse-stderr --allow_installed_system --open_command_list --noopen_command_list --standalone --inspection_callback_url --inspection_collectors --inspection_dhcp_wait_timeout --inspection_dhcp_all_interfaces --noinspection_dhcp_all_interfaces --introspection_daemon --nointrospection_daemon --introspection_daemon_post_interval --lldp_timeout --collect_lldp --nocollect_lldp --enable_vlan_interfaces --enable_discard_erase --noenable_discard_erase --disable_bootc_deploy --nodisable_bootc_deploy --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --config-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --api_url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --global_request_id)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ironic_api_version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --http_request_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lookup_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lookup_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --agent_token)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --observer_token_sha256)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen_host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen_interface)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --listen_port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_cert_file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_key_file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --auto_tls_allowed_clock_skew)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_min_version)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_cipher_suites)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --tls_certificate_curve)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_host)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_port)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --advertise_protocol)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ip_lookup_attempts)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ip_lookup_sleep)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --network_interface)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --api_pin)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cafile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --certfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --keyfile)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --hardware_initialization_delay)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disk_wait_attempts)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --disk_wait_delay)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inject_files_priority)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --ntp_server)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_user)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_password)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_server_auth_strategy)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_retries)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_connection_retry_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --image_download_max_duration)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --permitted_image_formats)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-config-append)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-file)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --log-date-format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --syslog-log-facility)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_callback_url)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_collectors)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --inspection_dhcp_wait_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --introspection_daemon_post_interval)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --lldp_timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --enable_vlan_interfaces)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _ferrite -o nosort -o bashdefault -o default ferrite
else
    complete -F _ferrite -o bashdefault -o default ferrite
fi
