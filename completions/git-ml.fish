# Completion of `git-ml` and of `git ml` in fish: source it, or install it in share/fish/vendor_conf.d.

# The words before the cursor as git-ml would get them; fails where the line is not one of its.
# `git -C DIR ml log` is `git-ml -C DIR log`.
function __git_ml_words
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l folder
    if test "$words[1]" = git
        set --erase words[1]
        while set -q words[1]; and test "$words[1]" != ml
            switch $words[1]
                case -C
                    set folder -C $words[2]
                    set --erase words[1..2]
                case -c --git-dir --work-tree
                    set --erase words[1..2]
                case '-*'
                    set --erase words[1]
                case '*'
                    return 1
            end
        end
    end
    set -q words[1]; or return 1
    printf '%s\n' git-ml $folder $words[2..-1]
end

function __git_ml_complete
    set -l words (__git_ml_words)
    command git-ml completions --at (count $words) -- $words (commandline --current-token --cut-at-cursor) 2>/dev/null
end

complete --command git-ml --no-files --keep-order --arguments '(__git_ml_complete)'
complete --command git --condition '__git_ml_words >/dev/null' --no-files --keep-order --arguments '(__git_ml_complete)'
