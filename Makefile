# Builds, tests, shows and installs git-ml. `make` alone lists the targets.

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo

bindir = $(DESTDIR)$(PREFIX)/bin
libdir = $(DESTDIR)$(PREFIX)/lib/git-ml
mandir = $(DESTDIR)$(PREFIX)/share/man/man1
bashdir = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
zshdir = $(DESTDIR)$(PREFIX)/share/zsh/site-functions
fishdir = $(DESTDIR)$(PREFIX)/share/fish/vendor_conf.d
docdir = $(DESTDIR)$(PREFIX)/share/doc/git-ml

# Everything is built with one profile and one set of features, so that nothing is compiled twice.
release = --release --features torch --locked
built = target/release

.DEFAULT_GOAL := help
.PHONY: help libtorch build demo test test-slow lint docs man install uninstall

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  make install PREFIX=$$HOME/.local installs for you alone; DESTDIR=... stages a package.'
	@echo '  git-ml alone needs neither libtorch nor Python: cargo build --release'

libtorch: ## Find libtorch, or fetch it into a cache, and print its folder
	@scripts/libtorch

build: ## Build git-ml and its worker
	LIBTORCH="$$(scripts/libtorch)" && export LIBTORCH && $(CARGO) build $(release) --bins

demo: build ## Train, register and verify a model in a new project below target/
	@scripts/demo

test: ## Run all tests
	LIBTORCH="$$(scripts/libtorch)" && export LIBTORCH && scripts/test-services $(CARGO) test $(release)

test-slow: ## Run the tests with faults for many rounds: power cuts, kills, 100 clients, a real S3 product, shared runs
	GIT_ML_FAULTS=$(or $(ROUNDS),1000) $(CARGO) test --release --locked --lib faults::
	GIT_ML_FAULTS=$(or $(KILLS),200) scripts/test-services $(CARGO) test --release --locked --test it -- kills:: crowd:: supervision::a_kill
	GIT_ML_FAULTS=$(or $(KILLS),200) scripts/s3-product $(CARGO) test --release --locked --test it -- buckets:: crowd::
	GIT_ML_SHARED_RUNS=$(or $(RUNS),1000) $(CARGO) test --release --locked --test it sharing::

lint: ## Check the format, the lints and the documentation
	$(CARGO) fmt --check
	LIBTORCH="$$(scripts/libtorch)" && export LIBTORCH && $(CARGO) clippy $(release) --all-targets -- -D warnings
	LIBTORCH="$$(scripts/libtorch)" && export LIBTORCH && \
	    RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(release) --lib --no-deps --document-private-items

docs: man ## Write the manual pages and the documentation of the code
	LIBTORCH="$$(scripts/libtorch)" && export LIBTORCH && $(CARGO) doc $(release) --lib --no-deps

man: ## Write the manual pages to target/man
	LIBTORCH="$$(scripts/libtorch)" && export LIBTORCH && $(CARGO) run --quiet $(release) --example man -- target/man

# What was built is installed, so that `sudo make install` after `make demo` compiles nothing as root.
$(built)/git-ml $(built)/git-ml-torch:
	@$(MAKE) --no-print-directory build

target/man/git-ml.1: $(built)/git-ml
	@$(MAKE) --no-print-directory man

install: $(built)/git-ml $(built)/git-ml-torch target/man/git-ml.1 ## Install the programs, manual pages and completions below PREFIX
	install -d $(bindir) $(mandir) $(bashdir) $(zshdir) $(fishdir) $(docdir)
	install -m 755 $(built)/git-ml $(built)/git-ml-torch $(bindir)
	install -m 644 target/man/git-ml*.1 $(mandir)
	install -m 644 completions/git-ml.bash $(bashdir)/git-ml
	install -m 644 completions/git-ml.zsh $(zshdir)/_git-ml
	install -m 644 completions/git-ml.fish $(fishdir)/git-ml.fish
	install -m 644 LICENSE-MIT LICENSE-APACHE README.md $(docdir)
	@scripts/install-libtorch $(libdir)

uninstall: ## Remove what `make install` put below PREFIX
	rm -f $(bindir)/git-ml $(bindir)/git-ml-torch $(mandir)/git-ml.1 $(mandir)/git-ml-*.1
	rm -f $(bashdir)/git-ml $(zshdir)/_git-ml $(fishdir)/git-ml.fish
	rm -rf $(libdir) $(docdir)
