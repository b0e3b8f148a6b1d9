# The end-to-end lab: everything the tests in tests/e2e and the demo run, set up once under target/lab.
# `make lab` is safe to call again, and quick when nothing is missing.

LAB := target/lab
LAB_SUPPORT := tests/support
# $(call listed,FILE,PURPOSE): the packages of a list for that purpose.
listed = $(shell awk '/^[^\#]/ && $$2 == "$(2)" { print $$1 }' $(LAB_SUPPORT)/$(1))
DEMO_PACKAGES := $(call listed,packages.txt,demo)
LAB_PACKAGES := $(DEMO_PACKAGES) $(call listed,packages.txt,older) $(call listed,packages.txt,ipa) $(call listed,packages.txt,tests)
# The newest Ironic for everything; the oldest and one between prove that the generations did not drift apart.
DEMO_VENVS := $(addprefix $(LAB)/venv/,ironic-39.0.0 sushy-tools)
LAB_VENVS := $(DEMO_VENVS) $(addprefix $(LAB)/venv/,ironic-21.4.4 ironic-26.1.6 ironic-python-agent-13.0.0 \
	keystone-30.0.0 oslo.policy-6.0.1)
LAB_GENERATIONS := $(patsubst $(LAB_SUPPORT)/requirements/%.txt,$(LAB)/venv/%,$(sort $(wildcard $(LAB_SUPPORT)/requirements/ironic-[0-9]*.txt)))

.PHONY: lab lab-demo lab-packages demo-packages lab-generations
lab: lab-packages $(LAB)/unpacked/.tests $(LAB_VENVS:=/.done) ## The end-to-end lab: packages, the real Ironic and Keystone, a Redfish emulator

# The part of it that `make demo` needs.
lab-demo: demo-packages $(LAB)/unpacked/.done $(DEMO_VENVS:=/.done)

lab-generations: $(LAB_GENERATIONS:=/.done)

lab-packages:
	$(call install,$(LAB_PACKAGES))

demo-packages:
	$(call install,$(DEMO_PACKAGES))

$(LAB)/unpacked/.done: $(LAB_SUPPORT)/unpacked.txt | demo-packages
	@rm -rf $(@D)
	@bash $(LAB_SUPPORT)/unpack-packages.sh $(@D) $(call listed,unpacked.txt,demo)
	@touch $@

$(LAB)/unpacked/.tests: $(LAB)/unpacked/.done | lab-packages
	@bash $(LAB_SUPPORT)/unpack-packages.sh $(@D) $(call listed,unpacked.txt,tests)
	@touch $@

# Debian's own Python: the pins were made with it, and python3-libvirt belongs to it.
$(LAB)/venv/%/.done: $(LAB_SUPPORT)/requirements/%.txt
	$(call stage,lab: installing $* from PyPI into $(@D) (about a minute))
	@rm -rf $(@D)
	@/usr/bin/python3 -m venv $(if $(filter sushy-tools,$*),--system-site-packages) $(@D)
	@$(@D)/bin/pip install --quiet --quiet --disable-pip-version-check --requirement $< \
		|| { echo "lab: $* could not be installed from PyPI: is there a network?" >&2; exit 1; }
	@touch $@

$(DEMO_VENVS:=/.done): | demo-packages
$(filter-out $(DEMO_VENVS:=/.done),$(LAB_VENVS:=/.done) $(LAB_GENERATIONS:=/.done)): | lab-packages
