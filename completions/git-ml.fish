# Completion of `git-ml` in fish: install it as share/fish/vendor_completions.d/git-ml.fish. For `git ml`, fish's
# completion of git asks for that of `git-ml`.

function __git_ml_complete
    set -l words (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token --cut-at-cursor)
    set -l last (math (count $words) - 1)
    command git-ml completions --at $last -- git-ml $words[2..-1] 2>/dev/null
end

complete --command git-ml --no-files --keep-order --arguments '(__git_ml_complete)'
