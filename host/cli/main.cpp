// The program; everything is in program.cpp.
#include "host/cli/program.h"

int main(int argc, char** argv) { return lockstep::cli::run_program(argc, argv); }
