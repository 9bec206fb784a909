# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_mirrorwatch_global_optspecs
    string join \n config= state-dir= runtime-dir= v/verbose q/quiet lang= color= h/help V/version
end

function __fish_mirrorwatch_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_mirrorwatch_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_mirrorwatch_using_subcommand
    set -l cmd (__fish_mirrorwatch_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -s V -l version -d 'Print the version'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -f -a "run" -d 'The service, in the foreground'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -f -a "status" -d 'What is selected and why, what is rejected and why'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -f -a "probe" -d 'Ask mirrors now, change nothing'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -f -a "apply" -d 'Probe, select, write, reload, verify: once'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -f -a "restore" -d 'Put back what the engine had before'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -f -a "pause" -d 'Go on probing, write nothing'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -f -a "resume" -d 'End every pause'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -f -a "why" -d 'What the last real pulls went through'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -f -a "explain" -d 'Everything known of one mirror, and what it lacks'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -f -a "history" -d 'What was observed, and what was switched'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -f -a "check" -d 'Validate mirrors.toml'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -f -a "add" -d 'Add a mirror'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -f -a "remove" -d 'Remove a mirror'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -f -a "completions" -d 'Completions for a shell'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -f -a "man" -d 'The man page'
complete -c mirrorwatch -n "__fish_mirrorwatch_needs_command" -f -a "help" -d 'This help, or that of a command'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand run" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand run" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand run" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand run" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand run" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand run" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand run" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand run" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand run" -s V -l version -d 'Print the version'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand status" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand status" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand status" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand status" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand status" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand status" -l json -d 'The status as JSON; with --watch one line whenever it changes'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand status" -l watch -d 'Redraw every second until Ctrl-C'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand status" -l all -d 'Show mirrors that are switched off too, and what the marks mean'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand status" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand status" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand status" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand status" -s V -l version -d 'Print the version'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand probe" -l image -d 'What to ask for, such as library/nginx:latest' -r
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand probe" -l depth -d 'How far: connect (TCP and TLS), sample (a piece of a layer), rehearse (a pull\'s first steps in full) [default: rehearse]' -r -f -a "connect\t''
sample\t''
rehearse\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand probe" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand probe" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand probe" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand probe" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand probe" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand probe" -l json -d 'One JSON object instead of text'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand probe" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand probe" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand probe" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand probe" -s V -l version -d 'Print the version'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand apply" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand apply" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand apply" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand apply" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand apply" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand apply" -l dry-run -d 'Write nothing; print the diff of every file that would change'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand apply" -l with-pending -d 'Reload also when that activates edits of others that wait in the engine\'s file'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand apply" -l json -d 'One JSON object instead of text'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand apply" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand apply" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand apply" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand apply" -s V -l version -d 'Print the version'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand restore" -l to -d 'Which of --list; else the first' -r
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand restore" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand restore" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand restore" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand restore" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand restore" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand restore" -l list -d 'Show what can be restored, change nothing'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand restore" -l no-pause -d 'Do not pause the service: for when it is stopped for good, as before it is removed'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand restore" -l dry-run -d 'Write nothing; print the diff of every file that would change'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand restore" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand restore" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand restore" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand restore" -s V -l version -d 'Print the version'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand pause" -l for -d 'For how long, such as 30m, 2h, 1d; without it until resume' -r
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand pause" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand pause" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand pause" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand pause" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand pause" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand pause" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand pause" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand pause" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand pause" -s V -l version -d 'Print the version'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand resume" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand resume" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand resume" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand resume" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand resume" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand resume" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand resume" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand resume" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand resume" -s V -l version -d 'Print the version'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand why" -l since -d 'How far back [default: 1h]' -r
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand why" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand why" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand why" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand why" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand why" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand why" -l json -d 'One JSON object instead of text'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand why" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand why" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand why" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand why" -s V -l version -d 'Print the version'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand explain" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand explain" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand explain" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand explain" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand explain" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand explain" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand explain" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand explain" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand explain" -s V -l version -d 'Print the version'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand history" -l since -d 'How far back, such as 30m, 24h, 7d [default: 24h]' -r
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand history" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand history" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand history" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand history" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand history" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand history" -l json -d 'One JSON object instead of text'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand history" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand history" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand history" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand history" -s V -l version -d 'Print the version'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand check" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand check" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand check" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand check" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand check" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand check" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand check" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand check" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand check" -s V -l version -d 'Print the version'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand add" -l name -d 'What to call it; else its host' -r
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand add" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand add" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand add" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand add" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand add" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand add" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand add" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand add" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand add" -s V -l version -d 'Print the version'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand remove" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand remove" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand remove" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand remove" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand remove" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand remove" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand remove" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand remove" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand remove" -s V -l version -d 'Print the version'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand completions" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand completions" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand completions" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand completions" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand completions" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand completions" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand completions" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand completions" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand completions" -s V -l version -d 'Print the version'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand man" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand man" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand man" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand man" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand man" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand man" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand man" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand man" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand man" -s V -l version -d 'Print the version'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand help" -l config -d 'mirrors.toml [env: MIRRORWATCH_CONFIG] [default: /etc/mirrorwatch/mirrors.toml]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand help" -l state-dir -d 'Where history is kept [env: STATE_DIRECTORY] [default: /var/lib/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand help" -l runtime-dir -d 'Where the status is published [env: RUNTIME_DIRECTORY] [default: /run/mirrorwatch]' -r -F
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand help" -l lang -d 'Language of text for people: en or zh [env: MIRRORWATCH_LANG] [default: the locale\'s]' -r -f -a "en\t''
zh\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand help" -l color -d 'auto, always or never [default: auto: on a terminal, unless NO_COLOR is set]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand help" -s v -l verbose -d 'Say more; twice: still more'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand help" -s q -l quiet -d 'Only errors, and the exit code'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand help" -s h -l help -d 'Print help; --help says more than -h'
complete -c mirrorwatch -n "__fish_mirrorwatch_using_subcommand help" -s V -l version -d 'Print the version'
