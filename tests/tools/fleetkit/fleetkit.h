/* A fleet for tests without control.
 *
 *   fleetkit make FOLDER FLEET NODE...   an authority in FOLDER/ca, and for each NODE ("edge/e1") its identity in
 *                                        FOLDER/NAME ("FOLDER/e1")
 *   fleetkit publish FOLDER BUS          speaks as the control whose identity is in FOLDER: each line of stdin is a
 *                                        request to purge (JSON); the answer is a line of JSON on stdout when every
 *                                        living edge has applied it, or after five seconds. At the end of stdin it
 *                                        closes its epoch.
 */
#ifndef SK_TESTS_FLEETKIT_H
#define SK_TESTS_FLEETKIT_H

int fleetkit_make(const char *folder, const char *fleet, char **nodes, int count);
int fleetkit_publish(const char *folder, const char *bus);

#endif
