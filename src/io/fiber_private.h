/* What the files of src/io know of fibers beyond the public face. */
#ifndef SK_IO_FIBER_PRIVATE_H
#define SK_IO_FIBER_PRIVATE_H

#include "io/fiber.h"

/* As io_fiber_park without deadline, deaf to cancellation: for operations that hold memory of the fiber
 * and end soon by themselves. */
void io_fiber_park_through(void);

#endif
