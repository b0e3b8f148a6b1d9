# The end-to-end lab: everything the tests in tests/e2e and the demo run, set up once under target/lab.
# `make lab` is safe to call again, and quick when nothing is missing.

LAB := target/lab
LAB_SUPPORT := tests/support
LAB_PACKAGES := $(shell sed 's/\#.*//' $(LAB_SUPPORT)/packages.txt | awk '{print $$1}')
LAB_UNPACKED := $(shell sed 's/\#.*//' $(LAB_SUPPORT)/unpacked.txt | awk '{print $$1}')
# The newest Ironic for everything; the oldest and one between prove that the generations did not drift apart.
LAB_VENVS := $(addprefix $(LAB)/venv/,ironic-39.0.0 ironic-21.4.4 ironic-26.1.6 ironic-python-agent-13.0.0 \
	keystone-30.0.0 oslo.policy-6.0.1 sushy-tools)
LAB_GENERATIONS := $(patsubst $(LAB_SUPPORT)/requirements/%.txt,$(LAB)/venv/%,$(sort $(wildcard $(LAB_SUPPORT)/requirements/ironic-[0-9]*.txt)))

.PHONY: lab lab-packages lab-generations
lab: lab-packages $(LAB)/unpacked/.done $(LAB_VENVS:=/.done) ## The end-to-end lab: packages, the real Ironic and Keystone, a Redfish emulator

lab-generations: $(LAB_GENERATIONS:=/.done)

lab-packages:
	$(call install,$(LAB_PACKAGES))

$(LAB)/unpacked/.done: $(LAB_SUPPORT)/unpacked.txt | lab-packages
	@bash $(LAB_SUPPORT)/unpack-packages.sh $(@D) $(LAB_UNPACKED)
	@touch $@

# Debian's own Python: the pins were made with it, and python3-libvirt belongs to it.
$(LAB)/venv/%/.done: $(LAB_SUPPORT)/requirements/%.txt | lab-packages
	@echo "lab: installing $* into $(@D)"
	@rm -rf $(@D)
	@/usr/bin/python3 -m venv $(if $(filter sushy-tools,$*),--system-site-packages) $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $< \
		|| { echo "lab: $* could not be installed from PyPI: is there a network?" >&2; exit 1; }
	@touch $@
